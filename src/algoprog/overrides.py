"""What the words of a command line mean for a run: axis, size, seed, execution, or context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from algoprog.axes import ALWAYS, AXES, SHARED
from algoprog.baseline import baseline, preset
from algoprog.config import COMPARISON, EXECUTION, Schema, conf_dir

_OF_HYDRA = ("hydra", "hydra.launcher", "hydra.sweeper")
"""Keys that hold settings and are none."""

SETTINGS = frozenset(field.name for field in fields(Schema))
"""The top-level settings of every run and every sweep."""


def parse(overrides: list[str]) -> list[Override]:
    """Hydra's own reading of `key=value` words."""
    return [_parse(word) for word in overrides]


@cache
def _parse(word: str) -> Override:
    """One word; a sweep asks for the same few again and again, and the grammar is slow."""
    (override,) = OverridesParser.create().parse_overrides([word])
    return override


def quoted(text: str) -> str:
    """The text as a quoted string of Hydra's grammar, whatever it holds."""
    before_quotes = re.sub(r"(\\+)(?='|$)", r"\1\1", text)  # elsewhere Hydra takes a backslash as it is
    escaped = before_quotes.replace("'", "\\'")
    return f"'{escaped}'"


def subject(override: Override) -> str:
    """The top-level key that an override changes: `attention` for `attention=mqa` and `attention.n_kv_heads=2`."""
    key: str = override.package or override.key_or_group
    return key.split(".")[0].split("/")[0]


def setting(override: Override) -> str:
    """The setting that an override changes; an axis that borrows a group of options goes by its own name.

    A knob that is added to an axis, as in `+attention.at=8`, is one of the axis.
    """
    if override.package in AXES:
        return str(override.package)
    key = str(override.get_key_element())
    bare = key.lstrip("+~")
    return bare if bare.partition(".")[0] in AXES else key


def refuse_choices(overrides: list[str]) -> None:
    """Refuse words that choose what can be no option, or take away what every run has, before Hydra trips over them.

    Raises:
        ValueError: a word lists several options where there is one, of which Hydra would make a mixture or take the
            last; or names none, or a file outside of its group; or deletes a setting of the schema.
    """
    for word in parse(overrides):
        key = str(word.key_or_group)
        if word.is_delete():
            if key in SETTINGS or setting(word).lstrip("~") in AXES:
                raise ValueError(f"{word.input_line} would leave runs without {key}: leave that word out")
            if word.is_sweep_override():
                raise ValueError(f"{word.input_line} deletes {key}, of which no values can be swept: leave them out")
        elif key in _OF_HYDRA:
            if not isinstance(word.value(), dict):
                raise ValueError(f"{word.input_line} leaves nothing of {key}: write {key}.NAME=VALUE for one setting")
        elif setting(word) in AXES or key in groups() or key.startswith("hydra/"):
            for value in _values(word):
                _refuse_choice(word, key, value)


def refuse_odd_choices(overrides: Sequence[str]) -> None:
    """The same before it is known that all are words; what Hydra cannot read is left to it.

    Raises:
        ValueError: a word chooses what can be no option.
    """
    for text in overrides:
        with suppress(HydraException):
            refuse_choices([text])


def _values(word: Override) -> list[Any]:
    """What a word chooses: the elements where it lists several for a sweep."""
    value = word.value()
    found = value.list if isinstance(value, ChoiceSweep) else [value]
    return [element.text if isinstance(element, QuotedString) else element for element in found]


def _refuse_choice(word: Override, key: str, value: Any) -> None:
    names = value if isinstance(value, list) else [value]
    by_name = bool(names) and all(isinstance(name, str) and ".." not in name.split("/") for name in names)
    may_be_many = key == "experiment" or key.startswith("hydra/")
    if isinstance(value, list) and not (by_name and may_be_many):
        raise ValueError(f"{word.input_line} lists options: choose one, or add -m and leave the brackets out")
    if not by_name:
        raise ValueError(f"{word.input_line} names no option: choose among {', '.join(_options(key))}")


def _options(group: str) -> list[str]:
    """The files of a folder of conf/ or, of Hydra's groups, those that we have."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


@cache
def groups() -> frozenset[str]:
    """The folders of conf/: what can be chosen, whatever it sets."""
    return frozenset(path.name for path in conf_dir().iterdir() if path.is_dir())


def without_axes(overrides: list[str]) -> list[str]:
    """The command line of the baseline: every axis, its knobs, the variant, and what a sweep compares taken out.

    Of an optimizer those knobs stay that the baseline's has too, the tuned ones among them.
    """
    words = list(zip(overrides, parse(overrides), strict=True))
    compared = list(told(overrides))
    return [text for text, word in words if not _is_axis(word) and not _is_within(setting(word), compared)]


def told(overrides: list[str]) -> dict[str, Any]:
    """What a sweep told a run to be measured against."""
    values = [word.value() for word in parse(overrides) if subject(word) == "against"]
    return {str(key): value for found in values if isinstance(found, dict) for key, value in found.items()}


def _is_axis(word: Override) -> bool:
    """Whether an override chooses what is always compared."""
    axis, _, knob = setting(word).partition(".")
    if AXES.get(axis) is None or not AXES[axis].always:
        return subject(word) == "variant"
    return AXES[axis].owner == "model" or not knob or knob not in _usual_knobs(axis)


def _is_within(key: str, compared: list[str]) -> bool:
    """Whether a setting is compared, or belongs to an axis that is."""
    return key not in SHARED and any(
        key == other or (other in AXES and key.startswith(f"{other}.")) for other in compared
    )


@cache
def _usual_knobs(axis: str) -> frozenset[str]:
    return frozenset(preset(AXES[axis].group, baseline()[axis]))


def _is_knob_of_training(word: Override) -> bool:
    """Whether an override changes a knob such as the learning rate, which names no other option."""
    return "." in setting(word) and subject(word) in AXES and AXES[subject(word)].owner == "training"


def with_moved_axes(overrides: list[str]) -> list[str]:
    """The command line with what `baseline.kernel=flash` means for the run itself, unless it chooses that axis."""
    parsed = parse(overrides)
    chosen = {setting(word) for word in parsed}
    moved = [setting(word).partition(".")[2] for word in parsed if subject(word) == "baseline"]
    values = {setting(word).lstrip("+~"): word.get_value_element_as_str() for word in parsed}
    missing = [axis for axis in moved if axis in ALWAYS and axis not in chosen]
    return [*(f"{AXES[axis].word}={values[f'baseline.{axis}']}" for axis in missing), *overrides]


def context(overrides: list[str]) -> dict[str, str]:
    """The settings that are neither axis, variant, size preset, seed nor execution: what else was changed."""
    known = (*ALWAYS, *EXECUTION, *COMPARISON, "variant", "seed", "hydra")
    return {
        override.key_or_group: override.get_value_element_as_str()
        for override in parse(overrides)
        if (subject(override) not in known or _is_knob_of_training(override)) and override.key_or_group != "model"
    }
