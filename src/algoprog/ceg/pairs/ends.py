"""Ends of budgets: the only points of a schedule that are comparable with each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from algoprog.ceg.curves import END_SHARE, Curve, Mask, common_costs
from algoprog.ceg.pairs.protocols import family
from algoprog.runs.record import DIVERGED

MID_SCHEDULE = "mid-schedule"
"""Flag of a gain that rests on a point within a schedule: what that budget can reach is lower."""

BUDGET_MISMATCH = "budget-mismatch"
"""Flag of a gain whose variant and baseline have no ends at about the same loss."""

MEET = -float(np.log(END_SHARE))
"""Ends meet when ln cost at equal loss differs by no more than this, about 5 % of the cost."""


def several_ends(curve: Curve, cost: str) -> bool:
    """Whether a curve has ends of clearly different budgets, so that costs may be read off between them."""
    at = curve.points(cost)[0][curve.at_end(cost)]
    return curve.ends is not None and len(at) > 1 and bool(at[0] < END_SHARE * at[-1])


def ends_alone(curve: Curve, cost: str) -> Curve:
    """The curve less what is no end, where it has several ends; always the same object, which fits are kept with."""
    if curve.ends is None or curve.ends.all() or not several_ends(curve, cost):
        return curve
    if curve not in _ALONE:
        _ALONE[curve] = _rows(curve, curve.ends)
    return _ALONE[curve]


_ALONE: WeakKeyDictionary[Curve, Curve] = WeakKeyDictionary()


def is_end(curve: Curve, cost: str, log_cost: float) -> bool:
    """Whether a curve at a cost stands at an end, or between ends that are known.

    Just beyond the last end counts too, as what a trend is extended by where two ends meet.
    """
    at = curve.points(cost)[0][curve.at_end(cost)]
    if not len(at):
        return False
    last = float(np.log(at[-1]))
    first = float(np.log(at[0])) if several_ends(curve, cost) else last - MEET
    return first - 1e-9 <= log_cost <= last + MEET


def mid_schedule(pair: tuple[Curve, Curve], cost: str, log_costs: tuple[float, float]) -> tuple[str, ...]:
    """The flag of a gain that was read off at these costs of (baseline, variant), if either is no end."""
    ends = all(curve.annealed or is_end(curve, cost, at) for curve, at in zip(pair, log_costs, strict=True))
    return () if ends else (MID_SCHEDULE,)


def all_ends(curves: Iterable[Curve]) -> list[Curve]:
    """The curves as if their learning rate were constant, wherever the source does not tell."""
    return [replace(c, ends=np.ones(len(c.val_loss), bool)) if c.ends is None else c for c in curves]


def join_budgets(curves: Sequence[Curve]) -> list[Curve]:
    """The curves with runs that differ in budget alone joined into one curve of their ends.

    Runs of one variant, model, seed and family, or cohort where the family is not known, are one algorithm trained for
    several budgets. A curve that goes on after ends, as a trunk does after its branches, keeps its ends alone. The runs
    of a family that was trained for several budgets share a cohort afterwards: ends are compared whatever their budget.
    """
    cohorts: dict[tuple[str, str], set[str]] = {}
    groups: dict[tuple[str, str, str, int], list[Curve]] = {}
    for curve in map(_without_trunk, curves):
        kin = curve.model, family(curve)
        cohorts.setdefault(kin, set()).add(curve.cohort)
        groups.setdefault((*kin, curve.variant, curve.seed), []).append(curve)
    joined = []
    for (model, name, *_), runs in groups.items():
        mixed = len(cohorts[model, name]) > 1
        joined += [replace(run, cohort=name) if mixed else run for run in _one_curve(runs)]
    return joined


def _without_trunk(curve: Curve) -> Curve:
    """A curve less what is no end, where ends of several budgets stand among other evaluations."""
    if curve.ends is None or curve.diverged or curve.ends[int(np.argmax(curve.ends)) :].all():
        return curve
    return ends_alone(curve, next(iter(curve.costs)))


def _rows(curve: Curve, keep: Mask) -> Curve:
    costs = {axis: cost[keep] for axis, cost in curve.costs.items()}
    return replace(curve, val_loss=curve.val_loss[keep], costs=costs, ends=np.ones(len(curve.val_loss[keep]), bool))


def _one_curve(runs: list[Curve]) -> list[Curve]:
    """The curve of ends of several budgets; runs that repeat a budget stay as they are, to be refused by name."""
    if len(runs) == 1:
        return runs
    finished = [run for run in runs if not run.diverged]
    axis = next(iter(common_costs(finished)), None)
    if axis is None:
        return runs[:1] if not finished and len({run.cohort for run in runs}) > 1 else runs
    last = sorted(float(run.cost(axis)[-1]) for run in finished)
    if any(low >= END_SHARE * high for low, high in pairwise(last)):
        return runs
    joined = _joined(finished) if len(finished) > 1 else finished[0]
    return [replace(joined, warnings=(*joined.warnings, DIVERGED)) if len(finished) < len(runs) else joined]


def _joined(runs: Sequence[Curve]) -> Curve:
    """One curve of the ends of runs of several budgets; of a run without known ends the last evaluation is its end."""
    axes = common_costs(runs)
    longest = max(runs, key=lambda run: float(run.cost(axes[0])[-1]))
    parts = [_own_ends(run) for run in runs]
    loss = np.concatenate([part.val_loss for part in parts])
    costs = {axis: np.concatenate([part.costs[axis] for part in parts]) for axis in axes}
    _, rows = np.unique(costs[axes[0]], return_index=True)  # by cost; one of two ends at the same budget
    return replace(
        longest,
        val_loss=loss[rows],
        costs={axis: cost[rows] for axis, cost in costs.items()},
        ends=np.ones(len(rows), bool),
        flags=tuple(dict.fromkeys(flag for run in runs for flag in run.flags)),
        warnings=tuple(dict.fromkeys(flag for run in runs for flag in run.warnings)),
    )


def _own_ends(run: Curve) -> Curve:
    """The ends of one run: all where it has several, else its last evaluation."""
    if run.ends is not None and several_ends(run, next(iter(run.costs))):
        return _rows(run, run.ends)
    last = np.zeros(len(run.val_loss), bool)
    last[-1] = True
    return _rows(run, last)
