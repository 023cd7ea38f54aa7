"""The order of variants in a table, and which axes each of them changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from algoprog.axes import AXES
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group

MANY = 12
"""Variants of a table from which on it is ordered by gain and says less about each."""

OTHER = "other settings"
"""Where a variant changes no axis, as `precision=bf16-mixed`, or its curves do not tell."""


def in_order(group: Group, sort: str | None, cost: str) -> tuple[Arm, ...]:
    """The arms of a group by one of `SORTS`; of many variants by gain where nobody chose.

    Raises:
        ValueError: there is no such order.
    """
    chosen = sort or (BY_GAIN if len(group.arms) > MANY else BY_NAME)
    if chosen not in SORTS:
        raise ValueError(f"--sort is {chosen}: choose among {', '.join(SORTS)}")
    return tuple(sorted(group.arms, key=lambda arm: SORTS[chosen](arm, group, cost)))


def changed_axes(arm: Arm, group: Group) -> tuple[str, ...]:
    """The axes in which a variant differs from the baseline of its group; none for the baseline itself.

    An axis that another option leaves no meaning, as `pos` under `mla`, is none of them.
    """
    if arm.variant == group.baseline:
        return ()
    own, base = _choices(arm), _choices(group.reference)
    return tuple(axis for axis in AXES if axis in own and own[axis] != base.get(axis)) or (OTHER,)


def _choices(arm: Arm | None) -> Mapping[str, Any]:
    """Option and knobs of every axis, as far as records or curves tell."""
    if arm is None:
        return {}
    if arm.runs:
        record = arm.runs[0].record
        return {**record.axes, **record.choices}
    return arm.curves[0].axes if arm.curves else {}


def _by_name(arm: Arm, group: Group, cost: str) -> tuple[float, ...]:
    return ()  # as they stand: the paper's arms first, then by name


def _by_gain(arm: Arm, group: Group, cost: str) -> tuple[float, ...]:
    gain = arm.gain(SHOWN_ESTIMATORS[0], cost) or arm.bound(SHOWN_ESTIMATORS[0], cost)
    return (math.inf if gain is None or gain.ceg is None else -gain.ceg,)


def _by_loss(arm: Arm, group: Group, cost: str) -> tuple[float, ...]:
    return (math.inf if arm.diverged or arm.final_loss is None else arm.final_loss,)


def _by_axis(arm: Arm, group: Group, cost: str) -> tuple[float, ...]:
    places = list(AXES)
    found = [places.index(axis) if axis in AXES else len(places) for axis in changed_axes(arm, group)]
    return (float(len(found) != 0), *map(float, found), *_by_gain(arm, group, cost))


BY_NAME, BY_GAIN = "name", "gain"
SORTS: dict[str, Callable[[Arm, Group, str], tuple[float, ...]]] = {
    BY_NAME: _by_name,
    BY_GAIN: _by_gain,
    "loss": _by_loss,
    "axis": _by_axis,
}
"""Orders of a table: names as ever, the largest gain first, the lowest loss first, or axis by axis."""
