"""Tables of end points alone: the ends of a variant's sizes, one evaluation each, are one curve, its frontier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve, common_costs, cost_fault

FRONTIER = "frontier"
"""Name of the model that all sizes make up."""

END_POINTS = "end-points"
"""Flag of a gain between frontiers: read off laws through the ends of several sizes."""

FEWEST_SIZES = 3
"""Sizes of the baseline below which its ends tell no law."""


def join_sizes(curves: Sequence[Curve], baseline: str) -> list[Curve]:
    """The curves, or where every run is a single evaluation one curve of ends a variant and seed, by rising cost.

    Raises:
        ValueError: the baseline has the ends of fewer than three sizes, or a variant two of one size and seed.
    """
    finished = [curve for curve in curves if not curve.diverged]
    if not finished or any(len(curve.val_loss) > 1 for curve in finished):
        return list(curves)
    groups: dict[tuple[str, int], list[Curve]] = {}
    for curve in finished:
        groups.setdefault((curve.variant, curve.seed), []).append(curve)
    sizes = {curve.model for curve in finished if curve.variant == baseline}
    if 0 < len(sizes) < FEWEST_SIZES:
        some = next(curve for curve in finished if curve.variant == baseline)
        raise ValueError(
            f"{some} has one evaluation only: export every evaluation, or the end points of {FEWEST_SIZES} sizes at"
            " least"
        )
    return [_frontier(runs) for runs in groups.values()]


def _frontier(runs: Sequence[Curve]) -> Curve:
    """The ends of one variant and seed as a curve, with the axes on which larger runs cost more."""
    names = [run.model for run in runs]
    if repeated := next((run for run in runs if names.count(run.model) > 1), None):
        raise ValueError(
            f"{repeated} is there twice, with one evaluation each: leave one of them out, or number their seeds"
        )
    if not (axes := common_costs(runs)):
        raise ValueError(f"{runs[0]} and its other sizes have no cost in common: fill in one column of cost for all")
    runs = sorted(runs, key=lambda run: float(run.costs[axes[0]][0]))
    costs, faults = {}, {}
    for axis in axes:
        cost = np.array([run.costs[axis][0] for run in runs])
        if (fault := cost_fault(COSTS[axis].column, cost)) is None:
            costs[axis] = cost
        else:
            faults[axis] = (
                f"{runs[fault.row]} cost no more {COSTS[axis].column} than a smaller size: compare other costs"
            )
    return Curve(
        variant=runs[0].variant,
        model=FRONTIER,
        seed=runs[0].seed,
        val_loss=np.array([run.val_loss[0] for run in runs]),
        costs=costs or {axes[0]: np.array([run.costs[axes[0]][0] for run in runs])},
        faults=faults,
        flags=tuple(dict.fromkeys(flag for run in runs for flag in run.flags)),
        warnings=(END_POINTS,),
        axes=runs[0].axes,
        source=runs[0].source,
        ends=np.ones(len(runs), bool),
        sizes=tuple(run.model for run in runs),
    )
