"""What a run is measured against: a file in conf/baseline/, moved by single axes, by an experiment, or by a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from hydra.utils import get_object
from omegaconf import OmegaConf

from algoprog.axes import ALWAYS, AXES, DATA, MODEL, axis_of
from algoprog.config import conf_dir

DEFAULT = "gpt2_paper"
"""The file that the configuration names, and that runs of the time before there were others are measured against."""

Composed = Mapping[str, Any]


@cache
def preset(group: str, name: str) -> dict[str, Any]:
    """The values of a file in conf/; empty where there is none."""
    path = conf_dir() / group / f"{name}.yaml"
    # A file of conf/ holds keys: it becomes a dictionary, and no list or text.
    return dict(OmegaConf.to_container(OmegaConf.load(path))) if path.exists() else {}  # type: ignore[arg-type]


@cache
def baseline(name: str = DEFAULT) -> dict[str, str]:
    """The option of every axis in a file of conf/baseline/.

    Raises:
        ValueError: there is no such file.
    """
    entries = preset("baseline", name).get("defaults")
    if entries is None:
        known = ", ".join(sorted(path.stem for path in (conf_dir() / "baseline").glob("*.yaml")))
        raise ValueError(f"there is no baseline {name}: choose among {known}")
    named = {axis_of(key.split("/")[-1]): str(value) for entry in entries for key, value in entry.items()}
    return {axis: named[axis] for axis in ALWAYS if axis in named}


def baseline_of(config: Composed) -> dict[str, str]:
    """The baseline's option of every axis, for a run's configuration."""
    chosen = config.get("baseline") or {"name": DEFAULT}
    moved = {axis: str(chosen[axis]) for axis in ALWAYS if chosen.get(axis) is not None}
    return {**baseline(str(chosen["name"])), **moved}


def baseline_name(config: Composed) -> str:
    """Name of the baseline, with the axes that were moved in brackets: `llama(kernel=math)`."""
    chosen = config.get("baseline") or {"name": DEFAULT}
    moved = [f"{axis}={chosen[axis]}" for axis in ALWAYS if chosen.get(axis) is not None]
    return str(chosen["name"]) + (f"({','.join(moved)})" if moved else "")


def against(config: Composed) -> dict[str, Any]:
    """The settings that a sweep compares, and axes that an experiment moved, with the values to measure against."""
    return dict(config.get("against") or {})


def reference_part(config: Composed, axis: str) -> Mapping[str, Any]:
    """The option of an axis, with its knobs, that a run is measured against."""
    moved = against(config).get(axis)
    return moved if moved is not None else preset(AXES[axis].group, baseline_of(config)[axis])


def compared(config: Composed) -> tuple[str, ...]:
    """The axes by which a run is compared: those that always are, and those that its sweep compares."""
    among, absent = {*ALWAYS, *against(config)}, meaningless(config)
    return tuple(axis for axis in AXES if axis in config and axis in among and axis not in absent)


def has(config: Composed, axis: str) -> bool:
    """Whether an axis means anything beside the other options of a run."""
    return axis not in meaningless(config)


def meaningless(config: Composed) -> dict[str, tuple[str, str]]:
    """The axes that mean nothing, each with the axis whose option leaves it no meaning, and the reason."""
    found: dict[str, tuple[str, str]] = {}
    if "backbone" in config:
        own = {"backbone", *_axes_of(str(config["backbone"]["_target_"]))}
        found = {axis: ("backbone", f"without {axis}") for axis in MODEL if axis not in own}
    for axis in (axis for axis in MODEL if axis in config and axis != "backbone"):
        if axis not in found:
            others = _without(str(config[axis]["_target_"])).items()
            found.update({other: (axis, why) for other, why in others if other not in found})
    return found


@cache
def _axes_of(backbone: str) -> frozenset[str]:
    found: frozenset[str] = get_object(backbone).axes
    return found


@cache
def _without(target: str) -> Mapping[str, str]:
    """What an option says of other axes; nothing where it has moved since."""
    found: Mapping[str, str] = getattr(get_object(target), "without", {}) if target in _options() else {}
    return found


def get(config: Composed, setting: str) -> Any:
    """The value of `precision` or `model.dropout`; None where there is no such setting."""
    part, _, knob = setting.partition(".")
    value = config.get(part)
    return (value.get(knob) if isinstance(value, Mapping) else None) if knob else value


def put(config: dict[str, Any], setting: str, value: Any) -> dict[str, Any]:
    """The configuration with one setting changed."""
    part, _, knob = setting.partition(".")
    return {**config, part: {**config[part], knob: value} if knob else value}


def reference(config: Composed) -> dict[str, Any]:
    """The configuration of the run that a run is measured against, less the axes of the model.

    Its hash is what a run and its baseline have in common: what was compared is put back to the baseline's value.
    """
    found = dict(config)
    for setting, value in against(config).items():
        if setting not in AXES:
            found = put(found, setting, value)
    for axis in compared(config):
        if AXES[axis].owner != "model" and (axis in against(config) or not same_option(config, axis)):
            found[axis] = dict(reference_part(config, axis))
    return found


def same_option(config: Composed, axis: str) -> bool:
    """Whether a run has the option of an axis that it is measured against, whatever its knobs."""
    return option(config[axis]) == option(reference_part(config, axis))


def option(part: Mapping[str, Any]) -> str:
    """The option that a part's configuration names: the file whose `_target_` it has.

    Of a target that has moved since, the module or the function that has the name of an option.
    """
    target = str(part["_target_"])
    module, last = ["", *target.split(".")][-2:]
    found = _options().get(target)
    if found is None:
        stems = {stem for files in _options().values() for _, stem in files}
        return last if last in stems and module not in stems else module
    names = [stem for _, stem in found]
    if any(group in DATA for group, _ in found):  # one kind of corpus has many files
        return max(found, key=lambda file: sum(part.get(knob) == own for knob, own in preset(*file).items()))[1]
    return module if module in names else names[0]


@cache
def _options() -> dict[str, tuple[tuple[str, str], ...]]:
    """Options, each with its group, by their `_target_`."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for group in dict.fromkeys(axis.group for axis in AXES.values()):
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            target = str(preset(group, path.stem).get("_target_"))
            found[target] = (*found.get(target, ()), (group, path.stem))
    return found


def other_text(config: Composed) -> tuple[str, ...]:
    """What a sweep compares of the data and the tokenizer: then runs share no tokens, and one text is theirs."""
    return tuple(setting for setting in against(config) if setting.split(".")[0] in DATA)
