"""What Hydra and OmegaConf refuse, in one sentence that says what to change, like our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import get_type_hints

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from algoprog.config import Schema, conf_dir

_NOT_THERE = re.compile(r"Could not override '(?P<key>[^']+)'")
_DOES_NOT_FIT = re.compile(r"Error merging override (?P<word>.*)", re.DOTALL)
_SEVERAL = re.compile(r"Ambiguous value for argument '(?P<word>.*)'\n1\.", re.DOTALL)
_TWICE = re.compile(r"An item is already at '(?P<key>[^']+)'")
_CHOSEN = re.compile(r"Multiple values for (?P<key>\S+)\. To override")
_SWEEP = re.compile(r"Sweep parameters '(?P<word>.*)' requires --multirun", re.DOTALL)


NOT_HERE = {
    "kernel/flex": (
        "kernel=flex is no option here: FlexAttention has no backward pass on a CPU, and on a GPU nobody has held it"
        " against kernel=math"
    )
}
"""Options that somebody may look for, each with the reason why there is none."""


def hydra_sentence(error: Exception) -> str:
    """One sentence on what was asked for and what there is, with exactly the words of the command line in it."""
    text = str(error)
    why = _first_line(error.__cause__)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        if error.missing_cfg_file in NOT_HERE:
            return f"{NOT_HERE[error.missing_cfg_file]}: choose among {', '.join(error.options)}"
        return f"Could not find '{error.missing_cfg_file}': choose among {', '.join(error.options)}"
    if found := _NOT_THERE.search(text):
        key = _full_key(error.__cause__) or found["key"]
        if key != found["key"] and found["key"] in settings():
            return f"{found['key']} takes no further key that way: write +{key}=..., one word a key"
        return no_setting(key)
    if found := _DOES_NOT_FIT.match(text):
        return f"{_line(found['word'])} does not fit: {why}"
    if found := _SEVERAL.match(text) or _SWEEP.match(text):
        return f"{found['word']} names several values: add -m to sweep over them, or write [A,B] for one list"
    if found := _TWICE.search(text) or _CHOSEN.search(text):
        return f"+{found['key']} is there already: write {found['key']}=... without the plus"
    if isinstance(error, OverrideParseException):
        word = _line(error.override)
        return f"{word} is no KEY=VALUE that can be read: quote what is odd in it, as in '+note=\"a=b\"'"
    return _first(text) if not why else f"{_first(text).rstrip('.:')}: {why}"


def no_setting(key: str) -> str:
    """What to write in place of a key that is not there."""
    group, _, knob = key.partition(".")
    siblings = [name.partition(".")[2] for name in settings() if name.startswith(f"{group}.")]
    if not knob or not siblings:
        near = get_close_matches(key, settings(), n=1, cutoff=0.6)
        return f"{key} is no setting: " + (f"did you mean {near[0]}?" if near else "--help lists those that there are")
    if knob in siblings:
        owners = ", ".join(name for name, knobs in _knobs(group).items() if knob in knobs)
        return f"{key} belongs to {group}={owners}: choose that beside it"
    near = get_close_matches(knob, siblings, n=1, cutoff=0.6)
    others = f"did you mean {group}.{near[0]}?" if near else f"{group} has {', '.join(sorted(set(siblings)))}"
    return f"{key} is no setting: {others}"


def _full_key(error: BaseException | None) -> str | None:
    """The key that OmegaConf missed, which may lie deeper than what was typed."""
    key = getattr(error, "full_key", None)
    return str(key) if key else None


@cache
def settings() -> tuple[str, ...]:
    """Every setting that a command line can change."""
    return tuple(_declared(Schema, "")) + tuple(
        f"{group.name}.{knob}"
        for group in sorted(conf_dir().iterdir())
        if group.is_dir() and group.name != "hydra"
        for knob in sorted({knob for knobs in _knobs(group.name).values() for knob in knobs})
    )


def _declared(schema: type, prefix: str) -> Iterator[str]:
    for name, hint in get_type_hints(schema).items():
        yield f"{prefix}{name}"
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _declared(hint, f"{name}.")


@cache
def _knobs(group: str) -> dict[str, frozenset[str]]:
    """The knobs of every option in a folder of conf/."""
    found = {}
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        names = (str(key) for key in OmegaConf.load(path))
        found[path.stem] = frozenset(name for name in names if not name.startswith("_") and name != "defaults")
    return found


def _first_line(error: BaseException | None) -> str:
    text = _first(str(error)) if error is not None else ""
    return f"{text[:1].lower()}{text[1:]}"


def _first(text: str) -> str:
    """What a message says before it explains."""
    said = re.split(r"\n(?:Config search path|See https|\s*full_key|To append)", text, maxsplit=1)[0]
    return _line(said)


def _line(text: str) -> str:
    return " ".join(text.split())
