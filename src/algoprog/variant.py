"""Names and identity of a run, derived from its configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from algoprog.axes import ALWAYS, AXES, MODEL, SAME_FUNCTION, SHARED
from algoprog.baseline import (
    DEFAULT,
    against,
    baseline,
    baseline_of,
    compared,
    get,
    option,
    preset,
    put,
    reference,
    reference_part,
    same_option,
)
from algoprog.config import COMPARISON, EXECUTION, SIZES, conf_dir
from algoprog.runs.record import BASELINE

FORMERLY: dict[str, Any] = {
    "schedule.warmup_steps": None,
    "evaluation.bytes": None,
    "evaluation.contexts": [1],
    "tokenizer.text": None,
    "pos.fraction": 1.0,
    "mixer.recurrent": "gated_deltanet",
    "pos.scaling": "none",
    "backbone": {"_target_": "algoprog.model.backbone.transformer.Transformer", "_partial_": True},
    "block": {"_target_": "algoprog.model.block.pre.PreNormBlock", "_partial_": True},
    "mixer": {"_target_": "algoprog.model.mixer.attention.chosen_attention", "_partial_": True},
    "qk_norm": {"_target_": "algoprog.model.norm.none.NoNorm", "_partial_": True},
    "output_gate": {"_target_": "algoprog.model.output_gate.none.NoGate", "_partial_": True},
    "sinks": {"_target_": "algoprog.model.sinks.none.NoSinks", "_partial_": True},
    "softcap": {"_target_": "algoprog.model.softcap.none.NoSoftcap", "_partial_": True},
    "skip": {"_target_": "algoprog.model.skip.none.NoSkip", "_partial_": True},
    "head": {"_target_": "algoprog.model.head.tied.TiedHead", "_partial_": True},
    "init": {"_target_": "algoprog.training.init.gpt2.Gpt2"},
    "objective": {"_target_": "algoprog.training.objective.next_token.NextToken"},
}
"""Settings that did not exist formerly, at the values under which runs are what they were: left out of identities."""

SINCE_BASELINES = {
    **dict.fromkeys(("qk_norm", "output_gate", "sinks", "softcap", "skip"), "none"),
    "head": "tied",
    "init": "gpt2",
    "objective": "next_token",
}
"""Axes that came when there were several baselines, with the option under which a baseline is what it was."""

OF_THE_LENGTH = ("schedule.branches",)
"""Settings that the length of a run decides: part of no name and of no cohort."""

FORMER_TARGETS: dict[str, dict[str, Any]] = {
    "algoprog.training.optim.adamw.AdamW": {"_target_": "algoprog.training.optimizer.adamw", "_partial_": True},
}
"""How options were written that have moved since: identities hold them as they were."""


def variant(config: Mapping[str, Any]) -> str:
    """The changes against the baseline, joined by `+`; `none` if there are none.

    An option stands for itself (`mqa`), with the knobs that differ from its yaml in brackets (`mqa(n_kv_heads=2)`);
    where an option of that name exists for an earlier axis too, it carries the axis (`pos=none`). Behind the axes stand
    the other settings that a sweep compares (`precision=bf16-mixed`).
    """
    axes = [change for axis in compared(config) if (change := _change(axis, config))]
    return "+".join([*axes, *_settings(config)]) or BASELINE


def _change(axis: str, config: Mapping[str, Any]) -> str:
    part, base = config[axis], reference_part(config, axis)
    name, same = option(part), same_option(config, axis)
    if same and AXES[axis].owner != "model" and axis not in against(config):
        return ""  # its knobs belong to the protocol
    defaults = base if same else preset(AXES[axis].group, name)
    apart = {setting.partition(".")[2] for setting in (*_tuned(config, axis), *OF_THE_LENGTH, *SHARED)}
    differ = {key: value for key, value in part.items() if key in defaults and defaults[key] != value}
    knobs = {key: value for key, value in differ.items() if key not in apart}
    return "" if same and not knobs else _label(axis, name, knobs)


def _label(axis: str, name: str, knobs: Mapping[str, Any]) -> str:
    label = name if bare(axis, name) else f"{axis}={name}"
    return label + (f"({','.join(f'{key}={_shown(value)}' for key, value in knobs.items())})" if knobs else "")


def _tuned(config: Mapping[str, Any], axis: str) -> list[str]:
    """The tuned settings of an axis, which are part of no name."""
    return [setting for setting in config.get("tuned") or () if setting.startswith(f"{axis}.")]


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for setting, value in against(config).items():
        axis = setting.split(".")[0]
        covered = axis in compared(config) and not same_option(config, axis)
        if setting not in AXES and not covered and get(config, setting) != value:
            yield f"{setting}={_shown(get(config, setting))}"


def bare(axis: str, name: str) -> bool:
    """Whether an option says by itself which axis it is of."""
    return name != BASELINE and axis == next((other for other in AXES if name in options(other)), axis)


@cache
def options(axis: str) -> list[str]:
    """The options of an axis, from the names of its files."""
    return sorted(path.stem for path in (conf_dir() / AXES[axis].group).glob("*.yaml"))


def text(value: Any) -> str:
    """A value as names and the command line spell it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(text, value))}]"
    return str(value).replace("e+", "e") if isinstance(value, float) else str(value)


def _shown(value: Any) -> str:
    """A value as a name holds it, which becomes the name of a folder: a path has dashes in it."""
    return text(value).strip("/").replace("/", "-") if isinstance(value, str) else text(value)


def model_name(config: Mapping[str, Any]) -> str:
    """Name of the size preset, with the sizes changed on top of it in brackets.

    What the baseline sets of a model, and what a sweep compares, is no other model.
    """
    sizes = reference(config)["model"]
    name = str((config.get("baseline") or {"name": DEFAULT})["name"])
    usual = {**preset("model", sizes["name"]), **preset("baseline", name).get("model", {})}
    changed = [f"{key}={value}" for key, value in sizes.items() if key in usual and usual[key] != value]
    return str(sizes["name"]) + (f"({','.join(changed)})" if changed else "")


def determining(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that determine what comes out: less execution, and less what did not exist at its former value.

    The micro-batch counts as the whole batch: it says how a step is computed, not what it computes.
    """
    return _less({**config, "micro_batch_size": config.get("batch_size")})


def _less(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, given in config.items():
        if key in (*EXECUTION, *COMPARISON) or _is_former(key, given):
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
    """Hash of what a run is measured against, less axes, seed and the number of annealed ends.

    Where data or tokenizers are compared, the data's hash is one of the text validated on and of the baseline's data.
    Runs that share it may be compared. It is what it was before there were several baselines wherever the axes have the
    options of `gpt2_paper`. Formerly, when a warm-up was a share of all steps, the ends counted.
    """
    base = reference(config)
    if base["schedule"].get("warmup_steps") is not None:
        base = {**base, "schedule": {name: knob for name, knob in base["schedule"].items() if name != "branches"}}
    return _digest(determining({**base, **_moved(config)}), data_sha256, (*MODEL, "seed"))


def _moved(config: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the cohorts of one baseline from those of another; nothing for the default one."""
    parts = {axis: part for axis, part in against(config).items() if axis in MODEL}
    options = {axis: option for axis, option in baseline_of(config).items() if SINCE_BASELINES.get(axis) != option}
    return {"measured_against": {**options, **parts}} if parts or options != _first_baseline() else {}


def _first_baseline() -> dict[str, str]:
    """The default one, as it was when it was the only one."""
    return {axis: option for axis, option in baseline().items() if axis not in SINCE_BASELINES}


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

    What a sweep compares stands at the baseline's value, the tuned settings at the run's own. Keys are those of the
    command line (`optim.lr`, `model.seq_len`); a part is named by its option (`schedule`).
    """
    base = reference(config)
    for setting in config.get("tuned") or ():
        if get(config, setting) is not None:
            base = put(base, setting, get(config, setting))
    flat: dict[str, Any] = {}
    for key, value in _less(base).items():
        if key in (*MODEL, "seed", "budget", "data", "tokenizer"):
            continue
        for name, knob in value.items() if isinstance(value, Mapping) else (("", value),):
            if name == "_target_":
                flat[key] = option(value) if key in ALWAYS else str(knob).rsplit(".", 1)[-1]
            elif not (key == "model" and name in SIZES):
                flat[f"{key}.{name}" if name else key] = knob
    return flat


def _digest(config: Mapping[str, Any], data_sha256: str, without: tuple[str, ...]) -> str:
    kept = {key: value for key, value in config.items() if key not in (*without, "data")}
    text = json.dumps({**kept, "data": data_sha256}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
