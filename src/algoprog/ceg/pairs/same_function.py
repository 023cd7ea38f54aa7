"""Which variants compute the same function as the baseline, so that comparing the two is an A/A test."""

from __future__ import annotations

import re
from collections.abc import Mapping

from algoprog.axes import SAME_FUNCTION
from algoprog.runs.record import BASELINE

_PLUS = re.compile(r"\+(?![^(]*\))")  # outside brackets: `gelu(expansion=8.0)+flash`


def execution_only(variant: str, axes: Mapping[str, str], baseline: str, baseline_axes: Mapping[str, str]) -> bool:
    """Whether a variant differs from the baseline, by options and by knobs, in nothing but how it is executed.

    Axes hold options alone; the knobs that were turned stand in the names. Without axes nothing is known.
    """
    if not axes or not baseline_axes:
        return False
    options = {side.get(axis) for side in (axes, baseline_axes) for axis in SAME_FUNCTION}
    others = {axis for axis in axes.keys() | baseline_axes.keys() if axes.get(axis) != baseline_axes.get(axis)}
    changed = _changes(variant) ^ _changes(baseline)
    return bool(changed) and others <= {*SAME_FUNCTION} and all(name.split("(")[0] in options for name in changed)


def _changes(variant: str) -> frozenset[str]:
    """The changes that a variant's name joins."""
    return frozenset(_PLUS.split(variant)) - {BASELINE}
