"""The rule of a design of shape `screen`: which variants go on to the next model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from algoprog.ceg.screening.rule import SPENDING, Screen

FIELDS = ("gate", "looks", "error", "spending")


def screen_of(raw: Mapping[Any, Any]) -> Screen:
    """The rule.

    Raises:
        ValueError: a field is missing or cannot be used.
    """
    missing = [key for key in FIELDS if raw.get(key) is None]
    if missing:
        raise ValueError(f"design.{missing[0]} has no value: a screen needs {', '.join(FIELDS)}")
    if raw["spending"] not in SPENDING:
        raise ValueError(f"design.spending={raw['spending']} must be one of {', '.join(SPENDING)}")
    return Screen(_gate(raw["gate"]), _looks(raw["looks"]), _error(raw["error"]), str(raw["spending"]))


def _gate(value: Any) -> float:
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"design.gate={value} must be a gain such as 1.05")
    return float(value)


def _error(value: Any) -> float:
    if not _is_number(value) or not 0 < value < 0.5:
        raise ValueError(f"design.error={value} must be a share above 0 and below 0.5, such as 0.1")
    return float(value)


def _looks(value: Any) -> tuple[int, ...]:
    looks = value if isinstance(value, list) else [value]
    whole = all(isinstance(seeds, int) and not isinstance(seeds, bool) and seeds >= 2 for seeds in looks)
    if not looks or not whole or any(later <= sooner for sooner, later in pairwise(looks)):
        raise ValueError(f"design.looks={value} must be rising numbers of seeds, from 2 on, such as [2,3,5]")
    return tuple(looks)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
