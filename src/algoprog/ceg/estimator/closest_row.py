"""Gundlach et al.'s estimator: the logged evaluation that lies nearest to a fixed loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import CostAt, Estimate, Estimator, Target, compare
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.pairs.ends import mid_schedule


@dataclass(frozen=True)
class ClosestRow(Estimator):
    """CEG = C_baseline / C_variant, C = cost of the evaluation whose loss is nearest to the target.

    No smoothing and no interpolation: the evaluation grid and one evaluation's noise go straight into the gain. A
    run has reached the target when its lowest loss is at or below it.

    Source: Gundlach et al. 2025, arXiv 2511.21622.
    """

    rank: ClassVar[int] = 2
    name: ClassVar[str] = "closest_row"
    summary: ClassVar[str] = "cost of the one evaluation nearest to the target; as noisy as that evaluation"
    source: ClassVar[str] = "Gundlach et al. 2025, arXiv 2511.21622"

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair; the error is one evaluation's noise over the slope on either side.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than four usable evaluations.
        """
        base, arm = baseline.points(cost), variant.points(cost)
        wanted = base[1][-1] if target == "final" else base[1].min() if target == "min" else target
        return compare(
            float(wanted),
            (float(base[1].min()), float(arm[1].min())),
            (_log_cost(*base), _log_cost(*arm)),
            (float(np.log(base[0][-1])), float(np.log(arm[0][-1]))),
            lambda loss: 0.0 if baseline is variant else _log_sd((baseline, variant), cost, loss),
            lambda at: mid_schedule((baseline, variant), cost, at),
        )


def _log_cost(cost: Array, loss: Array) -> CostAt:
    return lambda target: float(np.log(cost[np.argmin(np.abs(loss - target))]))


def _log_sd(pair: tuple[Curve, Curve], cost: str, target: float) -> float:
    variance = 0.0
    for curve in pair:
        trend = trend_of(curve, cost)
        slope = trend.slope_at(trend.log_cost_at(max(target, trend.lowest)))
        if slope <= 0:
            return float("inf")
        variance += (trend.noise_sd / slope) ** 2
    return float(np.sqrt(variance))
