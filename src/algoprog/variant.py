"""Names and identity of a run, derived from its configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from algoprog.axes import AXES, MODEL, SAME_FUNCTION, axis_of
from algoprog.config import EXECUTION, SIZES, conf_dir
from algoprog.runs.record import BASELINE

FORMERLY: dict[str, Any] = {
    "schedule.warmup_steps": None,
    "backbone": {"_target_": "algoprog.model.backbone.transformer.Transformer", "_partial_": True},
    "block": {"_target_": "algoprog.model.block.pre.PreNormBlock", "_partial_": True},
}
"""Settings that did not exist formerly, at the values under which runs are what they were: left out of identities."""

FORMER_TARGETS: dict[str, dict[str, Any]] = {
    "algoprog.training.optim.adamw.AdamW": {"_target_": "algoprog.training.optimizer.adamw", "_partial_": True},
}
"""How options were written that have moved since: identities hold them as they were."""


def option(part: Mapping[str, Any]) -> str:
    """The option that a part's configuration names: the module of its `_target_`."""
    return str(part["_target_"]).split(".")[-2]


@cache
def baseline() -> dict[str, str]:
    """The baseline's option of every axis, from the defaults list of conf/config.yaml."""
    defaults = OmegaConf.to_container(OmegaConf.load(conf_dir() / "config.yaml"))["defaults"]  # type: ignore[call-overload,index]
    entries = {key: value for entry in defaults if isinstance(entry, dict) for key, value in entry.items()}
    return {axis_of(key): value for key, value in entries.items() if axis_of(key) in MODEL}


@cache
def _defaults(group: str, name: str) -> dict[str, Any]:
    path = conf_dir() / group / f"{name}.yaml"
    return dict(OmegaConf.to_container(OmegaConf.load(path))) if path.exists() else {}  # type: ignore[arg-type]


def variant(config: Mapping[str, Any]) -> str:
    """The changes against the baseline, joined by `+`; `none` if there are none.

    An option stands for itself (`mqa`), with the knobs that differ from its yaml in brackets
    (`mqa(n_kv_heads=2)`); `none` and the final norm, whose options are ambiguous, carry the axis (`pos=none`).
    """
    changes = [change for axis in MODEL if (change := _change(axis, config[axis]))]
    return "+".join(changes) or BASELINE


def _change(axis: str, part: Mapping[str, Any]) -> str:
    name = option(part)
    defaults = _defaults(AXES[axis].group, name)
    knobs = [f"{key}={value}" for key, value in part.items() if key in defaults and defaults[key] != value]
    if name == baseline()[axis] and not knobs:
        return ""
    label = f"{axis}={name}" if name == "none" or AXES[axis].word != axis else name
    return label + (f"({','.join(knobs)})" if knobs else "")


def model_name(config: Mapping[str, Any]) -> str:
    """Name of the size preset, with the sizes changed on top of it in brackets."""
    sizes = config["model"]
    preset = _defaults("model", sizes["name"])
    changed = [f"{key}={value}" for key, value in sizes.items() if key in preset and preset[key] != value]
    return str(sizes["name"]) + (f"({','.join(changed)})" if changed else "")


def determining(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that determine what comes out: less execution, and less what did not exist at its former value.

    The micro-batch counts as the whole batch: it says how a step is computed, not what it computes.
    """
    return _less({**config, "micro_batch_size": config.get("batch_size")})


def _less(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, given in config.items():
        if key in EXECUTION or _is_former(key, given):
            continue
        value = _as_formerly_written(given)
        knobs = value.items() if isinstance(value, Mapping) else ()
        former = [name for name, knob in knobs if _is_former(f"{key}.{name}", knob)]
        kept[key] = {name: knob for name, knob in knobs if name not in former} if former else value
    return kept


def _as_formerly_written(value: Any) -> Any:
    target = value.get("_target_") if isinstance(value, Mapping) else None
    return {**value, **FORMER_TARGETS[target]} if target in FORMER_TARGETS else value


def _is_former(setting: str, value: Any) -> bool:
    return setting in FORMERLY and FORMERLY[setting] == value


def run_id(config: Mapping[str, Any], data_sha256: str, *, former: bool = False) -> str:
    """Hash of everything that determines a run's losses: the resolved configuration less execution, and the data.

    Args:
        config: resolved.
        data_sha256: of the prepared tokens.
        former: the identity of the time when the micro-batch was a part of it.
    """
    return _digest(_less(config) if former else determining(config), data_sha256, ())


def cohort(config: Mapping[str, Any], data_sha256: str) -> str:
    """The same without axes, seed and the number of annealed ends: runs that share it may be compared.

    Formerly, when a warm-up was a share of all steps, the ends counted.
    """
    schedule = config["schedule"]
    if schedule.get("warmup_steps") is not None:
        config = {**config, "schedule": {name: knob for name, knob in schedule.items() if name != "branches"}}
    return _digest(determining(config), data_sha256, (*MODEL, "seed"))


def search_id(config: Mapping[str, Any], data_sha256: str, settings: Iterable[str]) -> str:
    """Hash of a trial's configuration less its seed, what is searched, and axes whose options are the same function."""
    rest = {key: dict(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    names = tuple(settings)
    for setting in names:
        part, _, knob = setting.partition(".")
        del rest[part][knob]
    searched = hashlib.sha256(",".join(names).encode()).hexdigest()
    return _digest(determining(rest), data_sha256 + searched, (*SAME_FUNCTION, "seed"))


def protocol(config: Mapping[str, Any]) -> dict[str, Any]:
    """How a run was trained, less what may differ along a ladder: axes, seed, sizes, budget, execution, and the data.

    Keys are those of the command line (`optim.lr`, `model.seq_len`); a part is named by its option (`schedule`).
    """
    flat: dict[str, Any] = {}
    for key, value in _less(config).items():
        if key in (*MODEL, "seed", "budget", "data", "tokenizer"):
            continue
        for name, knob in value.items() if isinstance(value, Mapping) else (("", value),):
            if name == "_target_":
                flat[key] = str(knob).rsplit(".", 1)[-1]
            elif not (key == "model" and name in SIZES):
                flat[f"{key}.{name}" if name else key] = knob
    return flat


def _digest(config: Mapping[str, Any], data_sha256: str, without: tuple[str, ...]) -> str:
    kept = {key: value for key, value in config.items() if key not in (*without, "data")}
    text = json.dumps({**kept, "data": data_sha256}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
