"""Two estimators that trust a power law: Marin's effective speed-up and the ratio of two fitted laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast
from weakref import WeakKeyDictionary

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import Estimate, Estimator, Target, compare, setting
from algoprog.ceg.fit.law import Law, bootstrap, fit_law
from algoprog.ceg.fit.smoothing import RANGE, trend_of
from algoprog.ceg.fit.trend import Trend
from algoprog.ceg.pairs.ends import MID_SCHEDULE, several_ends

MAX_EXTRAPOLATION = 10.0
"""A law is not asked for losses that would take more than this many times the run's cost."""

REPLICATES = 50

CURVE, LADDER = "curve", "ladder"
"""Whose law tells what the baseline would have had to spend."""

LEAST_MODELS = 3
"""Of the baseline, for a law through their ends."""

OWN_TARGET = "own-target"
"""Flag of a gain at another loss than the one that was asked for."""


@dataclass(frozen=True)
class ScalingFit(Estimator):
    """CEG = C_baseline(L) / C_variant(L) with both costs read off laws E + A C^-a fitted to the two curves.

    The only estimator that can answer beyond a run's end, up to ten times its cost, flagged `extrapolated`. It is
    biased wherever the curve is no power law: warm-up, annealing knees, overfitting.

    Source: Gundlach et al. 2025, arXiv 2511.21622, who fit L = 1.9 + A C^alpha.
    """

    rank: ClassVar[int] = 4
    name: ClassVar[str] = "scaling_fit"
    summary: ClassVar[str] = "costs read off power laws fitted to both curves; the only one to look beyond a run's end"
    source: ClassVar[str] = "Gundlach et al. 2025, arXiv 2511.21622"

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
class EffectiveSpeedup(Estimator):
    """CEG = ((L_baseline - E) / (L_variant - E))^(1/a) C_baseline / C_variant, losses at the ends of both runs.

    E and a come from the law of the baseline's curve, or with `law=ladder` from that through the ends of its models, as
    in Marin's leaderboard: what the baseline would have had to spend for the variant's last loss. The target is
    therefore always the variant's last loss, `own-target` where another was asked for and `extrapolated` where the
    baseline never reached it.

    Source: Marin project, speedrun leaderboard.
    """

    rank: ClassVar[int] = 3
    name: ClassVar[str] = "effective_speedup"
    summary: ClassVar[str] = "what the baseline's power law would have to spend for the variant's last loss"
    source: ClassVar[str] = "Marin project, speedrun leaderboard"

    law: str = setting(CURVE, f"{CURVE}, of the baseline's run, or {LADDER}, through the ends of its models")
    ladder: tuple[Law, ...] = ()  # the law of the ladder and its replicates, where it is asked for

    def __post_init__(self) -> None:
        if self.law not in (CURVE, LADDER):
            raise ValueError(f"the law of effective_speedup is {self.law!r}: give law={CURVE} or law={LADDER}")

    def on_ladder(self, baselines: Mapping[str, Sequence[Curve]], cost: str) -> Self:
        """With the law through the ends of the baseline's models, each the mean over its seeds.

        Raises:
            ValueError: the ladder is asked for, and the baseline was trained at fewer than three models.
        """
        if self.law != LADDER:
            return self
        ends = [_end(curves, cost) for curves in baselines.values() if curves]
        if len(ends) < LEAST_MODELS:
            raise ValueError(
                f"effective_speedup:law={LADDER} needs the baseline at {LEAST_MODELS} models, and here are {len(ends)}:"
                f" train more, or use law={CURVE}"
            )
        x, loss = np.array(sorted(ends)).T
        fitted = fit_law(x, loss)
        return replace(self, ladder=(fitted, *bootstrap(fitted, x, loss, REPLICATES)))

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair; the error has both ends' noise and the bootstrapped law.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than four usable evaluations.
        """
        laws = [*self.ladder] or _laws(baseline, cost)
        base, arm = trend_of(baseline, cost), trend_of(variant, cost)
        price = _log_end(baseline, cost) - _log_end(variant, cost)
        log_gain = _speedup(laws[0], base.end, arm.end) + price
        flags: tuple[str, ...] = ("extrapolated",) if arm.end < base.lowest else ()
        flags += (OWN_TARGET,) if target != "final" else ()
        flags += () if self.ladder else _mid_schedule((baseline,), cost)

        def error() -> float:
            return 0.0 if baseline is variant else _speedup_sd(laws, base, arm)

        return Estimate(arm.end, log_gain, error, flags=flags)


def _end(curves: Sequence[Curve], cost: str) -> tuple[float, float]:
    """Cost and loss at the end of a model's runs, means over seeds."""
    trends = [trend_of(curve, cost) for curve in curves]
    log_cost = np.mean([_log_end(curve, cost) for curve in curves])
    return float(np.exp(log_cost)), float(np.mean([trend.end for trend in trends]))


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
