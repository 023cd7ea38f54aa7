"""What `tune=...` asks for: the settings that are searched, and by which trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from algoprog.config import conf_dir

SEARCHABLE = ("optim.lr", "optim.weight_decay")
"""Settings that `tuned` may list: those that every variant is entitled to have chosen for it."""

KNOBS = ("seed", "seeds", "factor", "max_trials")
"""What a file in conf/tune/ sets beside the space, unless it searches nothing."""

NONE, RATE = "none", "lr"
"""The option that searches nothing, and the one that sweeps without a search are told of."""


@dataclass(frozen=True)
class Tune:
    """The search that every variant and model gets."""

    space: Mapping[str, tuple[float, ...] | None]  # values by setting; None: typed, or around the configured one
    seed: int  # of the trials, the first of them
    seeds: int  # that each trial is trained on
    factor: float  # between two values of a grid that nobody typed
    max_trials: int  # of one variant and model

    @property
    def settings(self) -> tuple[str, ...]:
        """What is searched."""
        return tuple(self.space)

    @property
    def trial_seeds(self) -> range:
        """The seeds of every trial."""
        return range(self.seed, self.seed + self.seeds)


def tune_of(config: DictConfig) -> Tune | None:
    """The search that a sweep's configuration asks for; None where it asks for none.

    Raises:
        ValueError: a knob cannot be used.
    """
    raw = OmegaConf.to_container(config.tune, resolve=True)
    assert isinstance(raw, dict)
    tuned, space = _tuned(config), raw.get("space") or {}
    if not isinstance(space, dict):
        raise ValueError(f"tune.space={space} must be a mapping such as {{{SEARCHABLE[0]}: null}}")
    missing = [setting for setting in space if setting not in tuned]
    if missing:
        raise ValueError(f"tune searches {missing[0]}, which is not tuned: add it to tuned=[{','.join(tuned)}]")
    return read({str(key): value for key, value in raw.items()}) if space else None


def _tuned(config: DictConfig) -> list[str]:
    """The tuned settings.

    Raises:
        ValueError: one of them cannot be tuned.
    """
    for setting in config.tuned:
        if setting not in SEARCHABLE:
            raise ValueError(f"tuned names {setting}, and what can be tuned is {' and '.join(SEARCHABLE)}")
    return [str(setting) for setting in config.tuned]


def offered() -> Tune:
    """The search of `tune=lr`, as it stands in conf/."""
    raw = OmegaConf.to_container(OmegaConf.load(conf_dir() / "tune" / f"{RATE}.yaml"))
    assert isinstance(raw, dict)
    return read({str(key): value for key, value in raw.items()})


def read(raw: Mapping[str, Any]) -> Tune:
    """The search that the knobs of a file in conf/tune/ describe.

    Raises:
        ValueError: one of them is missing or cannot be used.
    """
    missing = [key for key in KNOBS if key not in raw]
    if missing:
        raise ValueError(f"tune.{missing[0]} has no value: choose tune=lr or tune=lr_wd, and change their knobs")
    unknown = sorted(raw.keys() - {"space", *KNOBS})
    if unknown:
        raise ValueError(f"tune.{unknown[0]} is no knob of a search: it has space, {', '.join(KNOBS)}")
    seed, factor, seeds = raw["seed"], raw["factor"], raw["seeds"]
    if not _is_number(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"tune.seed={seed} must be a whole number between 0 and 2^32 - 1")
    if not _is_number(factor, (int, float)) or not 1 < factor < float("inf"):
        raise ValueError(f"tune.factor={factor} must be a number above 1")
    for name in ("seeds", "max_trials"):
        if not _is_number(raw[name], int) or raw[name] < 1:
            raise ValueError(f"tune.{name}={raw[name]} must be a whole number, at least 1")
    space = {key: _values(key, value) for key, value in raw["space"].items()}
    return Tune(space, seed, seeds, float(factor), raw["max_trials"])


def _values(setting: str, raw: Any) -> tuple[float, ...] | None:
    """The values of one setting, rising.

    Raises:
        ValueError: it cannot be searched, or a value is not above 0.
    """
    if setting not in SEARCHABLE:
        raise ValueError(f"tune.space names {setting}, and what can be searched is {' and '.join(SEARCHABLE)}")
    if raw is None:
        return None
    values = raw if isinstance(raw, list) else [raw]
    if not values or not all(_is_number(value, (int, float)) and 0 < value < float("inf") for value in values):
        raise ValueError(
            f"tune.space gives {setting} {raw}: give numbers above 0, or null for those around the default"
        )
    return tuple(sorted({float(value) for value in values}))


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
