"""Settings that nobody reads: what stands behind a `+` and is no setting of algoprog, such as a typo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from hydra.core.override_parser.types import Override

from algoprog.config import Baseline, Schema
from algoprog.overrides import groups, parse, subject
from algoprog.refusals.by_hydra import no_setting

KNOWN = frozenset(field.name for field in fields(Schema))
"""The top-level settings of every run and every sweep."""


def unread(words: Sequence[str]) -> list[str]:
    """A sentence for every setting on a command line that no part of the program reads.

    A value that another word uses, as in `+width=64 model.d_model=${width}`, is read.
    """
    typed = parse(list(words))
    names = dict.fromkeys(word.key_or_group.partition(".")[0] for word in typed if is_unknown(word))
    return [
        f"nothing reads +{name}, for {no_setting(name)}"
        for name in names
        if not any(f"${{{name}{end}" in word for word in words for end in "}.[")
    ]


def is_unknown(word: Override) -> bool:
    """Whether a word of the command line adds a setting that is none of ours."""
    return not word.is_delete() and subject(word) not in (KNOWN | groups())


def refuse_unknown(config: Mapping[str, Any]) -> None:
    """Refuse a setting that does not exist below one that does.

    Raises:
        ValueError: there is one, with those that there are.
    """
    for section, hint in {**get_type_hints(Schema), "baseline": Baseline}.items():
        if not isinstance(hint, type) or not is_dataclass(hint):
            continue
        known = {field.name for field in fields(hint)}
        for name in config.get(section) or ():
            if name not in known:
                raise ValueError(no_setting(f"{section}.{name}"))
