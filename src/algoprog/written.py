"""What of a run's settings and words is written down: what the schema knows, and of anything else the name alone.

What is written is made here, from what the program knows, instead of being searched for secrets afterwards.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from algoprog.overrides import context, parse
from algoprog.refusals.unknown import KNOWN, is_unknown
from algoprog.runs.addresses import HIDDEN
from algoprog.runs.secrets import redacted


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as they may be read by anybody; the same again, if they are given once more."""
    return {
        key if key in KNOWN else redacted(key): redacted(value) if key in KNOWN else _plain(value)
        for key, value in config.items()
    }


def words(typed: Sequence[str]) -> list[str]:
    """The words of a command line that may be written; those that are no settings, such as `-m`, stay."""
    return [_word(text) for text in typed]


def command(script: str, typed: Sequence[str]) -> str:
    """What may be written of a whole command line, as a shell takes it."""
    return shlex.join(["python", script, *words(typed)])


def changed(typed: Sequence[str]) -> dict[str, str]:
    """The context of a run as it may be written: the settings on its command line that are no axis, model or seed."""
    strange = {word.key_or_group: word for word in parse(list(typed)) if is_unknown(word)}
    return {
        redacted(key) if key in strange else key: _value(strange[key]) if key in strange else _under(key, value)
        for key, value in context(list(typed)).items()
    }


def _word(text: str) -> str:
    try:
        (word,) = parse([text])
    except HydraException:
        return redacted(text)
    if not is_unknown(word):
        return redacted(text)
    return redacted(text.partition("=")[0]) + f"={_value(word)}"


def _value(word: Override) -> str:
    """What may be seen of the value of a setting that nobody knows."""
    value = word.value() if not word.is_sweep_override() else HIDDEN
    return HIDDEN if _plain(value) == HIDDEN else str(word.get_value_element_as_str())


def _plain(value: Any) -> Any:
    """A number, true, false or null as it is; nothing of anything that may hold more."""
    return value if value is None or isinstance(value, bool | int | float) else HIDDEN


def _under(key: str, value: str) -> str:
    """The value of a setting of ours, whose name may be that of a secret."""
    shown: str = redacted({key: value})[key]
    return shown
