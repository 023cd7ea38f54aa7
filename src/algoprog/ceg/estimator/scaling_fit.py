"""Two estimators that trust a power law: Marin's effective speed-up and the ratio of two fitted laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.ends import MID_SCHEDULE, several_ends
from algoprog.ceg.estimator.estimate import Estimate, Target, compare
from algoprog.ceg.fit.law import Law, bootstrap, fit_law
from algoprog.ceg.fit.smoothing import RANGE, trend_of
from algoprog.ceg.fit.trend import Trend

MAX_EXTRAPOLATION = 10.0
"""A law is not asked for losses that would take more than this many times the run's cost."""

REPLICATES = 50

OWN_TARGET = "own-target"
"""Flag of a gain at another loss than the one that was asked for."""


@dataclass(frozen=True)
class ScalingFit:
    """CEG = C_baseline(L) / C_variant(L) with both costs read off laws E + A C^-a fitted to the two curves.

    The only estimator that can answer beyond a run's end, up to ten times its cost, flagged `extrapolated`. It is
    biased wherever the curve is no power law: warm-up, annealing knees, overfitting.

    Source: Gundlach et al. 2025, arXiv 2511.21622, who fit L = 1.9 + A C^alpha.
    """

    @property
    def name(self) -> str:
        """`scaling_fit`."""
        return "scaling_fit"

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair; the error is bootstrapped, the exponents' errors included.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than three usable evaluations.
        """
        base, arm = _laws(baseline, cost), _laws(variant, cost)
        ends = _log_end(baseline, cost), _log_end(variant, cost)
        last, lowest = (
            tuple(float(law.loss(np.exp(end) * k)) for law, end in zip((base[0], arm[0]), ends, strict=True))
            for k in (1.0, MAX_EXTRAPOLATION)
        )
        wanted = last[0] if target in ("final", "min") else float(target)
        common = max(wanted, *lowest)
        beyond = any(law.log_cost(common) > end + 1e-6 for law, end in zip((base[0], arm[0]), ends, strict=True))
        return compare(
            wanted,
            cast(tuple[float, float], lowest),
            (base[0].log_cost, arm[0].log_cost),
            ends,
            lambda loss: 0.0 if baseline is variant else _spread(_log_gains(base[1:], arm[1:], loss)),
            lambda _: (*(("extrapolated",) if beyond else ()), *_mid_schedule((baseline, variant), cost)),
        )


@dataclass(frozen=True)
class EffectiveSpeedup:
    """CEG = ((L_baseline - E) / (L_variant - E))^(1/a) C_baseline / C_variant, losses at the ends of both runs.

    E and a come from the law of the baseline's curve: what the baseline would have had to spend for the variant's last
    loss. The target is therefore always the variant's last loss, `own-target` where another was asked for and
    `extrapolated` where the baseline never reached it.

    Source: Marin project, speedrun leaderboard.
    """

    @property
    def name(self) -> str:
        """`effective_speedup`."""
        return "effective_speedup"

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair; the error has both ends' noise and the bootstrapped law.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than four usable evaluations.
        """
        laws = _laws(baseline, cost)
        base, arm = trend_of(baseline, cost), trend_of(variant, cost)
        price = _log_end(baseline, cost) - _log_end(variant, cost)
        log_gain = _speedup(laws[0], base.end, arm.end) + price
        flags: tuple[str, ...] = ("extrapolated",) if arm.end < base.lowest else ()
        flags += (OWN_TARGET,) if target != "final" else ()
        flags += _mid_schedule((baseline,), cost)

        def error() -> float:
            return 0.0 if baseline is variant else _speedup_sd(laws, base, arm)

        return Estimate(arm.end, log_gain, error, flags=flags)


def _mid_schedule(curves: Sequence[Curve], cost: str) -> tuple[str, ...]:
    """The flag of a law that was fitted to points within a schedule."""
    return () if all(several_ends(curve, cost) for curve in curves) else (MID_SCHEDULE,)


def _speedup_sd(laws: list[Law], base: Trend, arm: Trend) -> float:
    """Spread over the law's replicates and both ends' errors over the law's slopes there."""
    slopes = [laws[0].exponent * (loss - laws[0].floor) for loss in (base.end, arm.end)]
    if min(slopes) <= 0:
        return float("inf")
    spread = _spread([_speedup(law, base.end, arm.end) for law in laws[1:]])
    return float(
        np.sqrt(spread**2 + sum((t.error[-1] / slope) ** 2 for t, slope in zip((base, arm), slopes, strict=True)))
    )


def _speedup(law: Law, base: float, arm: float) -> float:
    """Log of ((base - E) / (arm - E))^(1/a); a loss at or below the floor is unreachable and gives inf."""
    if min(base, arm) <= law.floor:
        return float("inf") if arm < base else float("-inf")
    return float(np.log((base - law.floor) / (arm - law.floor)) / law.exponent)


def _log_end(curve: Curve, cost: str) -> float:
    return float(np.log(curve.points(cost)[0][-1]))


_LAWS: WeakKeyDictionary[Curve, dict[str, list[Law]]] = WeakKeyDictionary()


def _laws(curve: Curve, cost: str) -> list[Law]:
    """The law of a curve followed by its bootstrap replicates, fitted once."""
    cached = _LAWS.setdefault(curve, {})
    if cost not in cached:
        x, loss = _late(*curve.points(cost))
        law = fit_law(x, loss)
        cached[cost] = [law, *bootstrap(law, x, loss, REPLICATES)]
    return cached[cost]


def _late(cost: Array, loss: Array) -> tuple[Array, Array]:
    """Without the first 1 / RANGE of the cost, as in the trend: warm-up is no power law."""
    keep = cost >= cost[-1] / RANGE
    return (cost[keep], loss[keep]) if keep.sum() >= 4 else (cost[-4:], loss[-4:])


def _log_gains(base: list[Law], arm: list[Law], loss: float) -> list[float]:
    return [b.log_cost(loss) - a.log_cost(loss) for b, a in zip(base, arm, strict=False)]


def _spread(logs: list[float]) -> float:
    """Standard deviation of replicates; infinite where there are none or one never reaches the loss."""
    return float(np.std(logs)) if logs and np.isfinite(logs).all() else float("inf")
