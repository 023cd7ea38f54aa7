"""The gain without tuning of its own: the variant at the learning rate that is best for the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from algoprog.ceg.curves import Curve
from algoprog.ceg.fit.smoothing import long_enough, trend_of
from algoprog.ceg.tuning.choice import Tuning
from algoprog.ceg.tuning.search import Point


@dataclass(frozen=True)
class Transfer:
    """The trials of a variant and the baseline at one point: the tried one that is nearest to the baseline's own."""

    tuning: Tuning
    variant: str
    baseline: str

    def ceg(self, compared: Sequence[Curve], cost: str) -> float | None:
        """Gain at equal loss, read off the ends of trials; None where they do not tell.

        Trials end at one budget each, so the loss by which the better one is ahead is turned into cost along the trend
        of its own compared runs: how much earlier they stood that much higher. It has the noise of a single seed.
        """
        ends = self._ends(cost)
        if ends is None or self.variant == self.baseline:
            return None
        (base_loss, base_cost), (arm_loss, arm_cost) = ends
        lead = base_loss - arm_loss
        ahead = self.variant if lead > 0 else self.baseline
        place = self.tuning.model, self.tuning.cohort, ahead
        runs = [c for c in compared if (c.model, c.cohort, c.variant) == place and not c.diverged]
        saved = [value for run in runs if (value := _saved(run, cost, abs(lead))) is not None]
        if not saved or len(saved) < len(runs):
            return None
        return base_cost / arm_cost * math.exp(math.copysign(fmean(saved), lead))

    @property
    def point(self) -> Point | None:
        """The point at which both were tried that is nearest, in ln, to where the baseline is compared."""
        stands = self.tuning.stands_at(self.baseline)
        shared = [p for p in self._cells(self.baseline) if p in self._cells(self.variant)]
        if not stands or not shared:
            return None
        centre = [fmean(map(_ln, values)) for values in zip(*stands, strict=True)]
        return min(shared, key=lambda point: (math.dist(centre, [_ln(value) for value in point]), point))

    def _cells(self, name: str) -> list[Point]:
        search = self.tuning.searches.get(name)
        return [point for point, loss in search.cells.items() if loss is not None] if search else []

    def _ends(self, cost: str) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Mean final loss and cost of (baseline, variant) at the point, over the seeds that both were tried with."""
        point = self.point
        if point is None:
            return None
        base, arm = (self._at(name, point, cost) for name in (self.baseline, self.variant))
        if not (seeds := base.keys() & arm.keys()):
            return None
        return _means([base[seed] for seed in seeds]), _means([arm[seed] for seed in seeds])

    def _at(self, name: str, point: Point, cost: str) -> dict[int, tuple[float, float]]:
        found = (a for a in self.tuning.searches[name].attempts if a.point == point)
        return {a.seed: (a.loss, a.costs[cost]) for a in found if a.loss is not None and a.costs.get(cost, 0.0) > 0}


def _means(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(loss for loss, _ in values), fmean(cost for _, cost in values)


def _saved(curve: Curve, cost: str, lead: float) -> float | None:
    """How much of ln cost separates a run's end from where it stood `lead` nats higher; None where it never did."""
    if not long_enough(curve, cost):
        return None
    trend = trend_of(curve, cost)
    if trend.end + lead > trend.loss[0]:
        return None
    return float(trend.log_cost[-1]) - trend.log_cost_at(trend.end + lead)


def _ln(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
