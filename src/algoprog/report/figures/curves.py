"""Loss curves of one arm: seeds put on one grid, their mean, their range, and where they reach a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.cost import RECORDED
from algoprog.ceg.curves import Array, Curve, common_costs, compared_rows
from algoprog.report.summary import Arm
from algoprog.runs.record import DIVERGED, Run


@dataclass(frozen=True)
class Band:
    """Mean validation loss over the seeds with its range, at the same evaluations on every cost axis that is known."""

    costs: dict[str, Array]
    mean: Array
    low: Array
    high: Array
    n_seeds: int

    def crossing(self, cost: str, target: float) -> float | None:
        """Cost at which the mean first falls to the target, interpolated in log cost; None if never."""
        x, below = self.costs[cost], np.flatnonzero(self.mean <= target)
        if not below.size:
            return None
        i = int(below[0])
        if i == 0 or x[i - 1] <= 0:
            return float(x[i])
        share = (self.mean[i - 1] - target) / (self.mean[i - 1] - self.mean[i])
        return float(np.exp(np.log(x[i - 1]) + share * (np.log(x[i]) - np.log(x[i - 1]))))


@dataclass(frozen=True)
class Broken:
    """A diverged seed: its curve up to the last finite evaluation."""

    costs: dict[str, Array]
    loss: Array


def band(arm: Arm) -> Band | None:
    """The band over the arm's finished seeds; None where no seed finished with a finite loss."""
    if not arm.runs:
        return _of_curves([curve for curve in arm.curves if not curve.diverged])
    runs = [run for run in arm.runs if run.record.status != DIVERGED and np.isfinite(run.curve["val_loss"]).any()]
    if not runs:
        return None
    steps = max((run.curve["step"][compared_rows(run)] for run in runs), key=len)
    steps = steps[(steps > 0) & (steps <= min(run.curve["step"][-1] for run in runs))]
    if not steps.size:
        return None
    loss = np.array([_at(run, "val_loss", steps) for run in runs])
    costs = {name: np.mean([_at(run, column, steps) for run in runs], axis=0) for name, column in RECORDED.items()}
    return Band(costs, loss.mean(axis=0), loss.min(axis=0), loss.max(axis=0), len(runs))


def _of_curves(curves: Sequence[Curve]) -> Band | None:
    """The band over runs of which the curves alone are known, along the first cost axis that all have."""
    axes = common_costs(curves)
    if not axes:
        return None
    own = [curve.points(axes[0]) for curve in curves]
    grid = max((x for x, _ in own), key=len)
    grid = grid[grid <= min(x[-1] for x, _ in own)]
    if not grid.size:
        return None
    loss = np.array([np.interp(grid, *points) for points in own])
    costs = {axis: np.mean([np.interp(grid, c.cost(axes[0]), c.cost(axis)) for c in curves], axis=0) for axis in axes}
    return Band(costs, loss.mean(axis=0), loss.min(axis=0), loss.max(axis=0), len(curves))


def broken(arm: Arm) -> list[Broken]:
    """The finite parts of the arm's diverged seeds."""
    result = [] if arm.runs else [found for curve in arm.curves if (found := _broken(curve)) is not None]
    for run in arm.runs:
        keep = np.isfinite(run.curve["val_loss"]) & (run.curve["step"] > 0)
        if run.record.status == DIVERGED and keep.any():
            costs = {name: run.curve[column][keep] for name, column in RECORDED.items()}
            result.append(Broken(costs, run.curve["val_loss"][keep]))
    return result


def _broken(curve: Curve) -> Broken | None:
    keep = np.isfinite(curve.val_loss)
    if not curve.diverged or not keep.any():
        return None
    return Broken({axis: cost[keep] for axis, cost in curve.costs.items()}, curve.val_loss[keep])


def _at(run: Run, column: str, steps: Array) -> Array:
    """A column of the run's curve at the given steps; evaluations without a finite loss are left out."""
    rows = compared_rows(run)
    keep = rows[np.isfinite(run.curve["val_loss"][rows])]
    return np.interp(steps, run.curve["step"][keep], run.curve[column][keep])
