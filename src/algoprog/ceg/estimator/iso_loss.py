"""The default estimator: the ratio of the costs at which two smoothed curves reach the same loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate, Target, compare
from algoprog.ceg.fit.smoothing import FEW_POINTS, exponent_odds, paired_trends
from algoprog.ceg.fit.trend import Trend

UNLIKELY = 0.02
"""Exponents with lower odds are not worth a fit."""

POOR_FIT = 0.05
"""Nats of scatter around a trend from which it does not describe a run; evaluation noise is .003 to .02."""


@dataclass(frozen=True)
class IsoLoss:
    """CEG = C_baseline(L) / C_variant(L), each cost read off its run's trend by interpolation in log cost.

    L is the baseline's trend at its last evaluation (`final`), its lowest value (`min`) or a given loss. The trends of
    a pair share their exponent and annealing part (see `smoothing`).
    """

    @property
    def name(self) -> str:
        """`iso_loss`."""
        return "iso_loss"

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair, the error by the delta method from both trends.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than four usable evaluations.
        """

        def error() -> float:
            return 0.0 if baseline is variant else _shape_sd(baseline, variant, cost, target)

        return replace(_estimate(baseline, variant, cost, target, None), error=error)


def _estimate(baseline: Curve, variant: Curve, cost: str, target: Target, exponent: int | None) -> Estimate:
    """The estimate with the likeliest or a given exponent of the trends; its error takes the exponent as known."""
    base, arm, shared_sd = paired_trends(baseline, variant, cost, exponent)
    wanted = base.end if target == "final" else base.lowest if target == "min" else float(target)
    return compare(
        wanted,
        (base.lowest, arm.lowest),
        (base.log_cost_at, arm.log_cost_at),
        (float(base.log_cost[-1]), float(arm.log_cost[-1])),
        lambda loss: _log_sd(base, arm, shared_sd, loss),
        _flags(base, arm),
    )


def _flags(base: Trend, arm: Trend) -> tuple[str, ...]:
    """Warnings about the trends: too few points, or a spike or jump that no smooth curve follows."""
    few = min(base.n_points, arm.n_points) < FEW_POINTS
    poor = max(base.noise_sd, arm.noise_sd) > POOR_FIT
    return tuple(word for word, applies in (("few-points", few), ("poor-fit", poor)) if applies)


def _shape_sd(baseline: Curve, variant: Curve, cost: str, target: Target) -> float:
    """Standard error with the exponent unknown: mean variance given it plus the variance of ln CEG over its odds."""
    odds = exponent_odds(baseline, variant, cost)
    likely = [index for index in range(len(odds)) if odds[index] > UNLIKELY]
    estimates = [_estimate(baseline, variant, cost, target, index) for index in likely]
    weights = odds[likely] / odds[likely].sum()
    logs = np.array([estimate.log_gain for estimate in estimates])
    within = weights @ np.square([estimate.log_sd for estimate in estimates])
    return float(np.sqrt(within + weights @ (logs - weights @ logs) ** 2))


def _log_sd(base: Trend, arm: Trend, shared_sd: float, loss: float) -> float:
    """Standard error of ln CEG at a common loss by the delta method.

    A crossing moves by (error of the loss) / slope. Where the loss is a run's own end point, that run's cost is known
    exactly and its error moves the crossing of the other run instead. What both trends owe to one annealing part moves
    both crossings alike and mostly cancels.
    """
    at = base.log_cost_at(loss), arm.log_cost_at(loss)
    slopes = [base.slope_at(at[0]), arm.slope_at(at[1])]
    at_end = at[0] >= base.log_cost[-1], at[1] >= arm.log_cost[-1]
    if at_end[0] and not at_end[1]:
        slopes[0] = slopes[1]
    elif at_end[1] and not at_end[0]:
        slopes[1] = slopes[0]
    if min(slopes) <= 0:
        return float("inf")
    moves = [trend.at(trend.error, x) / slope for trend, x, slope in zip((base, arm), at, slopes, strict=True)]
    levers = [trend.at(trend.lever, x) / slope for trend, x, slope in zip((base, arm), at, slopes, strict=True)]
    variance = moves[0] ** 2 + moves[1] ** 2 - 2 * levers[0] * levers[1] * shared_sd**2
    return float(np.sqrt(max(variance, 0.0)))
