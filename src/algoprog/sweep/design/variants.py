"""Variants by name: the words of the command line that make `ln+rope` or `gqa(group_size=2)`, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from algoprog.axes import AXES
from algoprog.baseline import baseline, preset
from algoprog.runs.record import BASELINE
from algoprog.variant import bare, options

Changes: TypeAlias = Mapping[str, str]
"""What a variant changes: axes, each with its label, an option with changed knobs in brackets; then other settings."""


def arm(name: str, base: Changes | None = None) -> dict[str, str]:
    """The changes that a variant's name lists, as tables and records spell it.

    Args:
        name: of the variant.
        base: the baseline's option of every axis; None for the default one.

    Raises:
        ValueError: a part of the name is neither an option nor a setting with its value.
    """
    changes = [] if name == BASELINE else [_change(part) for part in split(name, "+")]
    found = dict(changes)
    if len(found) < len(changes):
        raise ValueError(f"variant {name} changes one axis twice: name one option an axis")
    return {key: found[key] for key in _ordered(found) if not is_baseline(key, found[key], base)}


def name(arm: Changes, base: Changes | None = None) -> str:
    """The name of the variant: its changes joined by `+`."""
    labels = (_named(key, arm[key]) for key in _ordered(arm) if not is_baseline(key, arm[key], base))
    return "+".join(labels) or BASELINE


def words(arm: Changes) -> list[str]:
    """What `train.py` is given to train the variant: one word an axis, then its knobs."""
    return [word for key in _ordered(arm) for word in _words(key, arm[key])]


def _ordered(arm: Changes) -> list[str]:
    """The axes in their order, then the other settings."""
    return [*(axis for axis in AXES if axis in arm), *(key for key in arm if key not in AXES)]


def check(axis: str, label: str) -> str:
    """The label, if it is an option of the axis with knobs that it has.

    Raises:
        ValueError: there is no such axis, option or knob, naming those there are.
    """
    if axis not in AXES:
        raise ValueError(f"the design names the axis {axis}, and there are {', '.join(AXES)}: choose among them")
    option, knobs = parse_label(label)
    if option not in options(axis):
        raise ValueError(f"{axis} has no option {option}: choose among {', '.join(options(axis))}")
    known = preset(AXES[axis].group, option)
    for knob in knobs:
        if knob not in known or knob.startswith("_"):
            has = ", ".join(str(key) for key in known if not str(key).startswith("_")) or "no knob"
            raise ValueError(f"{axis}={option} has no knob {knob}: it has {has}")
    return label


def is_baseline(axis: str, label: str, base: Changes | None = None) -> bool:
    """Whether a label changes nothing."""
    return label == (baseline() if base is None else base).get(axis)


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
    """Axis and label of `rope` or `pos=none`; setting and value of `precision=bf16-mixed`."""
    prefix = re.match(r"([\w.]+)=(.+)", part, flags=re.S)
    if prefix:
        return prefix[1], check(prefix[1], prefix[2]) if prefix[1] in AXES else prefix[2]
    option, _ = parse_label(part)
    axes = [axis for axis in AXES if axis == AXES[axis].group and option in options(axis)]
    if not axes:
        known = ", ".join(option for axis in AXES if axis == AXES[axis].group for option in options(axis))
        raise ValueError(f"no axis has the option {option}: the options are {known}")
    if option == BASELINE:
        raise ValueError(f"{option} is an option of {' and '.join(axes)}: write {axes[0]}={option}")
    return axes[0], check(axes[0], part)


def _named(axis: str, label: str) -> str:
    return label if axis in AXES and bare(axis, parse_label(label)[0]) else f"{axis}={label}"


def _words(axis: str, label: str) -> Iterable[str]:
    if axis not in AXES:
        return [f"{axis}={label}"]
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
