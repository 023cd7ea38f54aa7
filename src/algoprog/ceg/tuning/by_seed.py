"""The choice among runs that are themselves compared: every seed stands where the other seeds did best.

A seed that chose by its own loss would bring its luck into the comparison, the more so the more points it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from algoprog.ceg.curves import Curve
from algoprog.ceg.tuning.search import Point
from algoprog.ceg.tuning.trials import point_of


def point_for(arm: Sequence[Curve], seed: int, fallback: Point | None) -> tuple[Point, bool]:
    """The point at which a seed of a variant is compared, and whether it was chosen by that seed's own loss.

    It is the point with the lowest mean loss over the other seeds that all points have. Points at which a seed
    diverged do not count; where there is no other, the baseline's best point stands in.
    """
    ends = _finished(arm)
    candidates = [point for point in ends if seed in ends[point]]
    if not candidates:
        present = sorted({point for c in arm if c.seed == seed and (point := point_of(c)) is not None})
        return (fallback if fallback in present and fallback is not None else present[0]), False
    others = set.intersection(*(set(ends[point]) for point in candidates)) - {seed}
    means = {point: fmean(ends[point][other] for other in others or {seed}) for point in candidates}
    return min(means, key=lambda point: (means[point], point)), not others and len(candidates) > 1


def _finished(arm: Sequence[Curve], *, whole: bool = True) -> dict[Point, dict[int, float]]:
    """Final loss by seed at every point; with `whole` those points alone at which no seed diverged."""
    ends: dict[Point, dict[int, float]] = {}
    for point in sorted({point for curve in arm if (point := point_of(curve)) is not None}):
        runs = [curve for curve in arm if point_of(curve) == point]
        finished = {curve.seed: float(curve.val_loss[-1]) for curve in runs if not curve.diverged}
        if finished and (len(finished) == len(runs) or not whole):
            ends[point] = finished
    return ends


def passed_over(arm: Sequence[Curve]) -> bool:
    """Whether the lowest loss of the seeds that finished is at a point at which another seed diverged."""
    ends = _finished(arm, whole=False)
    if not ends or not _finished(arm):
        return False
    shared = set.intersection(*(set(losses) for losses in ends.values()))
    means = {point: fmean(losses[seed] for seed in shared or losses) for point, losses in ends.items()}
    lowest = min(means, key=lambda point: means[point])
    return any(curve.diverged for curve in arm if point_of(curve) == lowest)
