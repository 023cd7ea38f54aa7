"""Sweeps over the learning rate: every variant of a tuned model stands at its best rate, the baseline included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import fmean

import numpy as np

from algoprog.ceg.curves import LEARNING_RATE, Curve, curves_from_runs
from algoprog.runs.record import BASELINE, DIVERGED, Run

LR_EDGE, LR_GRID = "lr-edge", "lr-grid"
TUNED = "tuned"
"""Cohort of the curves that were chosen, so that they are compared with each other."""

SAME_END = 0.05
"""Budgets whose ln differs by less count as one; a learning rate is judged at equal budget only."""


@dataclass(frozen=True)
class Tuning:
    """The learning-rate grid of every variant of one model, by rising rate, and the best rate of each."""

    model: str
    grids: dict[str, tuple[float, ...]]
    best: dict[str, float]  # variants that diverged at every rate have none
    passed_over: frozenset[str] = frozenset()  # variants whose rate would be another had no seed diverged at it

    @property
    def rates(self) -> tuple[float, ...]:
        """Every rate at which any variant was run."""
        return tuple(sorted({rate for grid in self.grids.values() for rate in grid}))

    def flags(self, variant: str, baseline: str) -> tuple[str, ...]:
        """`lr-edge` where the best rate may lie beyond the grid, `lr-grid` where the baseline had another grid."""
        grid, best = self.grids[variant], self.best.get(variant)
        edge = best is not None and best in (grid[0], grid[-1])
        other = baseline in self.grids and self.grids[baseline] != grid
        return tuple(word for word, applies in ((LR_EDGE, edge), (LR_GRID, other)) if applies)

    def rate(self, variant: str, baseline: str) -> float:
        """The rate at which a variant stands: its best, or one of its own where all diverged."""
        grid = self.grids[variant]
        fallback = self.best.get(baseline, grid[0])
        return self.best.get(variant, fallback if fallback in grid else grid[0])


def tunings(curves: Sequence[Curve]) -> list[Tuning]:
    """The models that were run at several learning rates and at nothing else different."""
    found = []
    for model in dict.fromkeys(curve.model for curve in curves):
        own = [curve for curve in curves if curve.model == model]
        if _differ_in_rate_only(own):
            variants = {v: [c for c in own if c.variant == v] for v in dict.fromkeys(c.variant for c in own)}
            grids = {variant: tuple(sorted(set(_rates(arm)))) for variant, arm in variants.items()}
            best = {variant: rate for variant, arm in variants.items() if (rate := _best(arm)) is not None}
            passed = frozenset(variant for variant in best if _passed_over(variants[variant]))
            found.append(Tuning(model, grids, best, passed))
    return found


def tuned(curves: Sequence[Curve], baseline: str = BASELINE) -> list[Curve]:
    """The curves with every variant of a tuned model at its best rate alone, flagged, in one cohort.

    Their protocol names the model's whole grid as learning rate: that is what the models of a ladder should share.
    """
    return [curve for _, curve in _chosen(curves, baseline)]


def tuned_runs(runs: Sequence[Run], baseline: str = BASELINE) -> list[Run]:
    """The runs behind the curves that `tuned` keeps, those of a tuned model in one cohort."""
    chosen = _chosen(curves_from_runs(runs), baseline)
    return [replace(runs[i], record=replace(runs[i].record, cohort=curve.cohort)) for i, curve in chosen]


def _chosen(curves: Sequence[Curve], baseline: str) -> list[tuple[int, Curve]]:
    """Place and new form of every curve that is kept."""
    models = {tuning.model: tuning for tuning in tunings(curves)}
    kept = []
    for index, curve in enumerate(curves):
        tuning = models.get(curve.model)
        if tuning is None:
            kept.append((index, curve))
        elif curve.learning_rate == tuning.rate(curve.variant, baseline):
            flags = tuple(dict.fromkeys((*curve.flags, *tuning.flags(curve.variant, baseline))))
            protocol = {**curve.protocol, LEARNING_RATE: tuning.rates}
            warnings = (*curve.warnings, DIVERGED) if curve.variant in tuning.passed_over else curve.warnings
            chosen = replace(curve, flags=flags, warnings=warnings, protocol=protocol)
            kept.append((index, replace(chosen, cohort=f"{TUNED} {curve.model}")))
    return kept


def _differ_in_rate_only(curves: Sequence[Curve]) -> bool:
    """Several rates, each of one cohort; one protocol beside them; every variant trained as long at every rate."""
    cohorts: dict[float | None, set[str]] = {}
    for curve in curves:
        cohorts.setdefault(curve.learning_rate, set()).add(curve.cohort)
    if len(cohorts) < 2 or None in cohorts or any(len(names) > 1 for names in cohorts.values()):
        return False
    if len(set.union(*cohorts.values())) < len(cohorts):
        return False
    if len({_rest(curve) for curve in curves}) > 1:
        return False
    ordered = sorted(curves, key=lambda curve: curve.variant)
    return all(_end_together(arm) for _, arm in groupby(ordered, key=lambda curve: curve.variant))


def _rest(curve: Curve) -> str:
    """The protocol less the learning rate, to be compared."""
    return repr(sorted((key, repr(value)) for key, value in curve.protocol.items() if key != LEARNING_RATE))


def _end_together(curves: Iterable[Curve]) -> bool:
    """Whether the runs of a variant ended at one budget; diverged ones end early, and seconds say nothing."""
    ends: dict[str, list[float]] = {}
    for curve in curves:
        for axis in curve.costs.keys() - {"seconds"} if not curve.diverged else ():
            if len(cost := curve.points(axis)[0]):
                ends.setdefault(axis, []).append(float(np.log(cost[-1])))
    return all(np.ptp(values) < SAME_END for values in ends.values())


def _rates(curves: Iterable[Curve]) -> list[float]:
    return [rate for curve in curves if (rate := curve.learning_rate) is not None]


def _best(arm: Sequence[Curve], *, whole: bool = True) -> float | None:
    """The rate with the lowest mean final loss over the seeds that all rates have, if any.

    Rates at which a seed diverged do not count; without `whole` they count by the seeds that finished.
    """
    ends: dict[float, dict[int, float]] = {}
    for rate in sorted(set(_rates(arm))):
        runs = [curve for curve in arm if curve.learning_rate == rate]
        finished = {curve.seed: float(curve.val_loss[-1]) for curve in runs if not curve.diverged}
        if finished and (len(finished) == len(runs) or not whole):
            ends[rate] = finished
    if not ends:
        return None
    shared = set.intersection(*(set(losses) for losses in ends.values()))
    means = {rate: fmean(losses[seed] for seed in shared or losses) for rate, losses in ends.items()}
    return min(means, key=lambda rate: means[rate])


def _passed_over(arm: Sequence[Curve]) -> bool:
    """Whether the lowest loss of the seeds that finished is at a rate at which another seed diverged."""
    lowest = _best(arm, whole=False)
    return any(curve.diverged for curve in arm if curve.learning_rate == lowest)
