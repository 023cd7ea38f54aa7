"""Variants by name: the words of the command line that make `ln+rope` or `gqa(group_size=2)`, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from omegaconf import OmegaConf

from algoprog.axes import AXES, MODEL
from algoprog.config import conf_dir
from algoprog.runs.record import BASELINE
from algoprog.variant import baseline

Arm: TypeAlias = Mapping[str, str]
"""The axes that a variant changes, each with its label: an option, with changed knobs in brackets."""


def arm(name: str) -> dict[str, str]:
    """The changes that a variant's name lists, as tables and records spell it.

    Raises:
        ValueError: a part of the name is no option, or is one of several axes.
    """
    changes = [] if name == BASELINE else [_change(part) for part in split(name, "+")]
    found = dict(changes)
    if len(found) < len(changes):
        raise ValueError(f"variant {name} changes one axis twice: name one option an axis")
    return {axis: found[axis] for axis in MODEL if axis in found and not is_baseline(axis, found[axis])}


def name(arm: Arm) -> str:
    """The name of the variant: its changes joined by `+`."""
    labels = (_named(axis, arm[axis]) for axis in MODEL if axis in arm and not is_baseline(axis, arm[axis]))
    return "+".join(labels) or BASELINE


def words(arm: Arm) -> list[str]:
    """What `train.py` is given to train the variant: one word an axis, then its knobs."""
    return [word for axis in MODEL if axis in arm for word in _words(axis, arm[axis])]


def check(axis: str, label: str) -> str:
    """The label, if it is an option of the axis with knobs that it has.

    Raises:
        ValueError: there is no such axis, option or knob, naming those there are.
    """
    if axis not in MODEL:
        raise ValueError(f"the design names the axis {axis}, and there are {', '.join(MODEL)}: choose among them")
    option, knobs = parse_label(label)
    if option not in options(axis):
        raise ValueError(f"{axis} has no option {option}: choose among {', '.join(options(axis))}")
    known = OmegaConf.load(conf_dir() / AXES[axis].group / f"{option}.yaml")
    for knob in knobs:
        if knob not in known or knob.startswith("_"):
            has = ", ".join(str(key) for key in known if not str(key).startswith("_")) or "no knob"
            raise ValueError(f"{axis}={option} has no knob {knob}: it has {has}")
    return label


def options(axis: str) -> list[str]:
    """The options of an axis, from the names of its files."""
    return sorted(path.stem for path in (conf_dir() / AXES[axis].group).glob("*.yaml"))


def is_baseline(axis: str, label: str) -> bool:
    """Whether a label changes nothing."""
    return label == baseline()[axis]


def split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand outside of all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == separator and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _change(part: str) -> tuple[str, str]:
    """Axis and label of `rope` or `pos=none`."""
    prefix = re.match(rf"({'|'.join(MODEL)})=(.+)", part, flags=re.S)
    if prefix:
        return prefix[1], check(prefix[1], prefix[2])
    option, _ = parse_label(part)
    axes = [axis for axis in MODEL if axis == AXES[axis].group and option in options(axis)]
    if not axes:
        known = ", ".join(option for axis in MODEL if axis == AXES[axis].group for option in options(axis))
        raise ValueError(f"no axis has the option {option}: the options are {known}")
    if len(axes) > 1:
        raise ValueError(f"{option} is an option of {' and '.join(axes)}: write {axes[0]}={option}")
    return axes[0], check(axes[0], part)


def _named(axis: str, label: str) -> str:
    option, _ = parse_label(label)
    return f"{axis}={label}" if option == "none" or axis != AXES[axis].group else label


def _words(axis: str, label: str) -> Iterable[str]:
    option, knobs = parse_label(label)
    return [f"{AXES[axis].word}={option}", *(f"{axis}.{knob}={value}" for knob, value in knobs.items())]


def parse_label(label: str) -> tuple[str, dict[str, str]]:
    """Option and knobs of `gqa(group_size=2)`.

    Raises:
        ValueError: the label is not of that form.
    """
    found = re.fullmatch(r"([\w.-]+)(?:\((.+)\))?", label.strip(), flags=re.S)
    pairs = [knob.partition("=") for knob in split(found[2], ",")] if found and found[2] else []
    if not found or any(not (key and equals and value) for key, equals, value in pairs):
        raise ValueError(f"{label!r} is no option: write for example mqa, or gqa(group_size=2) to change its knobs")
    return found[1], {key.strip(): value.strip() for key, _, value in pairs}
