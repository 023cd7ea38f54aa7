"""What the words of a command line mean for a run: axis, size, seed, execution, or context."""

from __future__ import annotations

import re
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from algoprog.axes import AXES, MODEL
from algoprog.config import EXECUTION


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
    """The setting that an override changes; an axis that borrows a group of options goes by its own name."""
    return override.package if override.package in AXES else str(override.get_key_element())


def without_axes(overrides: list[str]) -> list[str]:
    """The command line of the baseline: every axis, its knobs and the variant taken out."""
    kept = zip(overrides, parse(overrides), strict=True)
    return [text for text, override in kept if subject(override) not in (*MODEL, "variant")]


def context(overrides: list[str]) -> dict[str, str]:
    """The settings that are neither axis, variant, size preset, seed nor execution: what else was changed."""
    known = (*MODEL, *EXECUTION, "variant", "seed", "hydra")
    return {
        override.key_or_group: override.get_value_element_as_str()
        for override in parse(overrides)
        if subject(override) not in known and override.key_or_group != "model"
    }
