"""What was tried for a variant of a model before it was compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from algoprog.ceg.curves import LEARNING_RATE, Curve
from algoprog.ceg.tuning.search import Point, Trial, at_edge, line

WEIGHT_DECAY = "optim.weight_decay"
TUNED_SETTINGS = (LEARNING_RATE, WEIGHT_DECAY)
"""Settings that every variant is entitled to have chosen for it, in the order of a point; all others are protocol."""


@dataclass(frozen=True)
class Attempt:
    """One run of a search: the settings tried, and where it ended."""

    point: Point
    seed: int
    loss: float | None  # nats per token; None where it diverged
    costs: Mapping[str, float]  # by cost axis


@dataclass(frozen=True)
class Trials:
    """All runs that were tried for one variant of one model."""

    attempts: tuple[Attempt, ...]

    @cached_property
    def cells(self) -> dict[Point, float | None]:
        """Mean loss over the seeds at every point tried, by rising rate; None where a seed diverged."""
        points = sorted({attempt.point for attempt in self.attempts})
        return {point: _mean([a.loss for a in self.attempts if a.point == point]) for point in points}

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point tried, by rising rate."""
        return tuple(self.cells)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that it was tried with."""
        return tuple(sorted({attempt.seed for attempt in self.attempts}))

    @property
    def best(self) -> Point | None:
        """The point with the lowest mean loss; None where a seed diverged at every one."""
        known = {point: loss for point, loss in self.cells.items() if loss is not None}
        return min(known, key=lambda point: (known[point], point)) if known else None

    @property
    def edge(self) -> bool:
        """Whether the best point lies at the edge of what was tried: a better one may lie beyond.

        A weight decay that was the same throughout has no edge: it is not part of the search.
        """
        best = self.best
        axes = [] if best is None else [0, *(axis for axis in range(1, len(best)) if len(self.rates(axis)) > 1)]
        return best is not None and any(at_edge(line(self.cells, best, axis)) for axis in axes)

    def rates(self, axis: int = 0) -> list[Trial]:
        """The lowest loss at every value of one setting; None where a seed diverged whatever the others were."""
        values = sorted({point[axis] for point in self.points})
        found = {v: [loss for p, loss in self.cells.items() if p[axis] == v and loss is not None] for v in values}
        return [Trial(value, min(losses, default=None)) for value, losses in found.items()]


def point_of(curve: Curve) -> Point | None:
    """The tuned settings of a run, those that are known; None where the learning rate is not."""
    if curve.learning_rate is None:
        return None
    decay = curve.protocol.get(WEIGHT_DECAY)
    return (curve.learning_rate, float(decay)) if isinstance(decay, int | float) else (curve.learning_rate,)


def search_of(curves: Iterable[Curve]) -> Trials:
    """The search that these runs of one variant make up."""
    return Trials(tuple(_attempt(curve, point) for curve in curves if (point := point_of(curve)) is not None))


def flops_of(attempts: Iterable[Attempt]) -> float | None:
    """Training FLOPs of all of them; None where they were not recorded."""
    spent = [attempt.costs.get("flops", math.nan) for attempt in attempts]
    return None if any(map(math.isnan, spent)) else math.fsum(spent)


def same_start(one: Trials, other: Trials) -> bool:
    """Whether both began with the same values and went on only beyond an edge at which their best lay."""
    widths = {len(point) for point in (*one.points, *other.points)}
    return len(widths) == 1 and all(_same_start(one.rates(axis), other.rates(axis)) for axis in range(*widths))


def _attempt(curve: Curve, point: Point) -> Attempt:
    costs = {axis: float(cost[-1]) for axis, cost in curve.costs.items() if len(cost)}
    return Attempt(point, curve.seed, None if curve.diverged else float(curve.val_loss[-1]), costs)


def _mean(losses: Sequence[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None]
    return fmean(known) if known and len(known) == len(losses) else None


def _same_start(one: Sequence[Trial], other: Sequence[Trial]) -> bool:
    shared = {trial.rate for trial in one} & {trial.rate for trial in other}
    return bool(shared) and all(_went_on(trials, shared) for trials in (one, other))


def _went_on(trials: Sequence[Trial], shared: set[float]) -> bool:
    """Whether a search that began with the shared rates would have gone on to exactly these."""
    low, high = min(shared), max(shared)
    if any(low <= trial.rate <= high and trial.rate not in shared for trial in trials):
        return False
    while outside := [trial.rate for trial in trials if not low <= trial.rate <= high]:
        votes = [trial for trial in trials if low <= trial.rate <= high and trial.loss is not None]
        best = min(votes, key=lambda trial: (trial.loss or 0.0, trial.rate)).rate if votes else math.nan
        below, above = [rate for rate in outside if rate < low], [rate for rate in outside if rate > high]
        if below and best == low:
            low = max(below)
        elif above and best == high:
            high = min(above)
        else:
            return False
    return True
