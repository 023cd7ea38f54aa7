"""CEG as a curve over target loss: does the gain last as training goes on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import paired_trends
from algoprog.ceg.fit.trend import Trend
from algoprog.ceg.pairs.pairing import pair_up
from algoprog.ceg.seeds.intervals import log_interval
from algoprog.runs.record import BASELINE


@dataclass(frozen=True, eq=False)
class GainByLoss:
    """CEG of one variant at many losses that every seed of both reached; intervals are pointwise, NaN if unknown."""

    model: str
    variant: str
    baseline: str
    cost: str
    target_loss: Array  # in `metric`, falling
    ceg: Array
    ci_low: Array
    ci_high: Array
    n_seeds: int
    metric: str = "nats"


def gains_by_loss(
    curves: Sequence[Curve],
    *,
    cost: str = "flops",
    baseline: str = BASELINE,
    points: int = 40,
    confidence: float = 0.9,
) -> list[GainByLoss]:
    """iso_loss at losses from where both trends begin down to the lowest that all seeds reached.

    Variants without a loss in common with their baseline, and runs too short for a trend, are left out.

    Raises:
        ValueError: as `compute_gains`.
    """
    found = []
    for group in pair_up(curves, baseline):
        usable, _ = group.long_enough(cost)
        if group.variant == baseline or not usable or usable[0][0].sizes:
            continue
        trends = [paired_trends(base, arm, cost)[:2] for base, arm in usable]
        losses = _common_losses([trend for pair in trends for trend in pair], points)
        if len(losses):
            ceg, low, high = np.array([_gain(usable, cost, float(loss), confidence) for loss in losses]).T
            row = (group.model, group.variant, baseline, cost, losses, ceg, low, high, len(usable), usable[0][0].metric)
            found.append(GainByLoss(*row))
    return found


def _common_losses(trends: list[Trend], points: int) -> Array:
    """Losses evenly spaced between the lowest start and the highest end of the smoothed part of all trends."""
    high = min(trend.smoothed_start for trend in trends)
    low = max(trend.lowest for trend in trends)
    return np.linspace(high, low, points) if high > low else np.array([])


def _gain(
    pairs: Sequence[tuple[Curve, Curve]], cost: str, loss: float, confidence: float
) -> tuple[float, float, float]:
    estimates = [IsoLoss().along(base, arm, cost, loss) for base, arm in pairs]
    logs = [estimate.log_gain for estimate in estimates]
    low, high = log_interval(logs, confidence) or (np.nan, np.nan)
    return float(np.exp(np.mean(logs))), float(np.exp(low)), float(np.exp(high))
