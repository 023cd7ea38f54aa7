"""The default estimator: the ratio of the costs at which two smoothed curves reach the same loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import SAME_LOSS, CostAt, Estimate, Estimator, Target, compare
from algoprog.ceg.estimator.frontier import between_frontiers
from algoprog.ceg.estimator.reach import Meeting, Reach, meeting, reaches, settling_budget
from algoprog.ceg.fit.smoothing import exponent_odds, paired_trends, too_few
from algoprog.ceg.fit.trend import Trend
from algoprog.ceg.pairs.ends import BUDGET_MISMATCH, ends_alone, mid_schedule

UNLIKELY = 0.02
"""Exponents with lower odds are not worth a fit."""

POOR_FIT = 0.05
"""Nats of scatter around a trend from which it does not describe a run; evaluation noise is .003 to .02."""


@dataclass(frozen=True)
class IsoLoss(Estimator):
    """CEG = C_baseline(L) / C_variant(L), each cost read off its run's trend by interpolation in log cost.

    L is the baseline's trend at its last evaluation (`final`), its lowest value (`min`) or a given loss. The trends of
    a pair share their exponent and annealing part (see `smoothing`). Ends are compared with ends as far as there are
    ends at one loss (see `reach`); ends that differ by two `seed_sd` (nats) or 5 % of cost at most meet, and the slope
    corrects the rest. Where they do not meet the runs' own curves are read, flagged `mid-schedule` and
    `budget-mismatch`. Whether they do is decided by each pair alone, unless `over` has decided for all seeds together.
    Of frontiers, which are the ends of several sizes, laws are compared instead (see `frontier`).
    """

    rank: ClassVar[int] = 0
    name: ClassVar[str] = "iso_loss"
    summary: ClassVar[str] = "costs at equal loss, read off smoothed curves; the default"
    source: ClassVar[str] = ""
    joins_sizes: ClassVar[bool] = True

    seed_sd: float = 0.0
    decided: Meeting | None = None

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair, the error by the delta method from both trends.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than four usable evaluations, or two ends.
        """
        if baseline.sizes:
            return between_frontiers(baseline, variant, cost, target)
        pair = _Pair.of(baseline, variant, cost, target)
        decided = self.decided or _meeting([pair], self.seed_sd)

        def error() -> float:
            return 0.0 if baseline is variant else _shape_sd(pair, decided)

        return replace(_estimate(pair, decided, None), error=error)

    def over(self, pairs: Sequence[tuple[Curve, Curve]], cost: str, target: Target) -> Self:
        """The estimator for these pairs, one a seed, with their meeting decided once."""
        if pairs[0][0].sizes:
            return self
        return replace(self, decided=_meeting([_Pair.of(*pair, cost, target) for pair in pairs], self.seed_sd))

    def along(self, baseline: Curve, variant: Curve, cost: str, loss: float) -> Estimate:
        """The estimate at a loss that both trends pass, whether or not they stand at ends there."""
        pair = _Pair.of(baseline, variant, cost, loss)
        base, arm, shared_sd = paired_trends(pair.base, pair.arm, cost)
        return _by_crossing(pair, base, arm, shared_sd, loss)


@dataclass(frozen=True, eq=False)
class _Pair:
    """What is compared: of runs with several ends those alone."""

    base: Curve
    arm: Curve
    cost: str
    target: Target

    @classmethod
    def of(cls, baseline: Curve, variant: Curve, cost: str, target: Target) -> _Pair:
        return cls(ends_alone(baseline, cost), ends_alone(variant, cost), cost, target)

    @property
    def curves(self) -> tuple[Curve, Curve]:
        return self.base, self.arm

    def wanted(self, base: Trend) -> float:
        """The target as a loss."""
        return base.end if self.target == "final" else base.lowest if self.target == "min" else float(self.target)


def _meeting(pairs: Sequence[_Pair], seed_sd: float) -> Meeting:
    trends = [paired_trends(pair.base, pair.arm, pair.cost)[:2] for pair in pairs]
    found = [reaches(pair.curves, both, pair.cost) for pair, both in zip(pairs, trends, strict=True)]
    wanted = [pair.wanted(base) for pair, (base, _) in zip(pairs, trends, strict=True)]
    return meeting(found, wanted, given=pairs[0].target not in ("final", "min"), seed_sd=seed_sd)


def _estimate(pair: _Pair, decided: Meeting, exponent: int | None) -> Estimate:
    """The estimate with the likeliest or a given exponent of the trends; its error takes the exponent as known."""
    base, arm, shared_sd = paired_trends(pair.base, pair.arm, pair.cost, exponent)
    wanted = pair.wanted(base)
    reach = reaches(pair.curves, (base, arm), pair.cost)
    loss = decided.loss(*reach, wanted)
    if loss is not None:
        found = _at_ends(reach, shared_sd, wanted, loss)
    elif _no_common_loss(reach):
        found = _extrapolated(reach, shared_sd, wanted)
    else:
        found = _by_crossing(pair, base, arm, shared_sd, wanted, at_ends=decided.at == "crossing")
    if not decided.ends_meet:
        settling = settling_budget(found.log_gain, base, arm)
        found = replace(found, flags=(*found.flags, BUDGET_MISMATCH), settling_budget=settling)
    flags = (*found.flags, *_flags(pair, base, arm))
    return replace(found, flags=flags, misreadings=_misreadings(reach, found))


def _misreadings(reach: tuple[Reach, Reach], found: Estimate) -> tuple[float, ...]:
    """What ln CEG may be misread by between ends, of baseline and variant, each by the mean over its inner ends."""
    wanted = found.target if found.auxiliary_target is None else found.auxiliary_target
    sides = [run.trend.misreadings(run.log_cost_at(wanted)) for run in reach]
    return tuple(float(off) / len(side) ** 0.5 for side in sides for off in side)


def _at_ends(reach: tuple[Reach, Reach], shared_sd: float, wanted: float, loss: float) -> Estimate:
    """The estimate at a loss at which both runs stand at ends or between them."""
    base, arm = reach
    at = base.log_cost_at(loss), arm.log_cost_at(loss)
    correction = base.beyond(loss) - arm.beyond(loss)

    def log_sd() -> float:
        slopes = [r.slope if not r.several else r.trend.slope_at(x) for r, x in zip(reach, at, strict=True)]
        return _log_sd((base.trend, arm.trend), at, (slopes[0], slopes[1]), shared_sd)

    found = Estimate(wanted, at[0] - at[1], log_sd, correction=correction)
    return found if abs(loss - wanted) <= SAME_LOSS else _unreached(found, reach, loss)


def _no_common_loss(reach: tuple[Reach, Reach]) -> bool:
    """Whether ends of several budgets lie on one side of what the other run ends at, so that no curve crosses them."""
    base, arm = reach
    if base.several and arm.several:
        return True
    return (base.several and arm.lowest > base.highest) or (arm.several and base.lowest > arm.highest)


def _extrapolated(reach: tuple[Reach, Reach], shared_sd: float, wanted: float) -> Estimate:
    """The estimate from ends that have no loss in common, one run's extended by its slope."""
    loss = max(wanted, reach[0].lowest, reach[1].lowest)
    return replace(_at_ends(reach, shared_sd, wanted, loss), flags=("extrapolated",))


def _unreached(found: Estimate, reach: tuple[Reach, Reach], loss: float) -> Estimate:
    """The estimate as auxiliary, at another loss than the wanted one, with what the wanted one still tells."""
    base, arm = reach
    wanted, upper = found.target, True
    bound: float | None = None
    if base.lowest <= wanted <= base.highest and wanted < arm.lowest:
        bound = base.log_cost_at(wanted) - float(arm.trend.log_cost[-1])
    elif base.lowest <= wanted <= base.highest and wanted > arm.highest:
        bound, upper = base.log_cost_at(wanted) - float(arm.trend.log_cost[0]), False
    elif arm.lowest <= wanted <= arm.highest and wanted < base.lowest:
        bound, upper = float(base.trend.log_cost[-1]) - arm.log_cost_at(wanted), False
    return replace(found, auxiliary_target=loss, log_bound=bound, bound_is_upper=upper)


def _by_crossing(
    pair: _Pair, base: Trend, arm: Trend, shared_sd: float, wanted: float, *, at_ends: bool = False
) -> Estimate:
    """The estimate from where the two trends first reach a loss, at ends or not."""

    def log_sd(loss: float) -> float:
        at = base.log_cost_at(loss), arm.log_cost_at(loss)
        return _log_sd((base, arm), at, _crossing_slopes(base, arm, at), shared_sd)

    lowest, last = (base.lowest, arm.lowest), (float(base.log_cost[-1]), float(arm.log_cost[-1]))
    crossings: tuple[CostAt, CostAt] = base.log_cost_at, arm.log_cost_at

    def flags(at: tuple[float, float]) -> tuple[str, ...]:
        return () if at_ends else mid_schedule(pair.curves, pair.cost, at)

    return compare(wanted, lowest, crossings, last, log_sd, flags)


def _flags(pair: _Pair, base: Trend, arm: Trend) -> tuple[str, ...]:
    """Warnings about the trends: too few points, or a spike or jump that no smooth curve follows."""
    few = too_few(pair.base, base) or too_few(pair.arm, arm)
    poor = max(base.noise_sd, arm.noise_sd) > POOR_FIT
    return tuple(word for word, applies in (("few-points", few), ("poor-fit", poor)) if applies)


def _shape_sd(pair: _Pair, decided: Meeting) -> float:
    """Standard error with the exponent unknown: mean variance given it plus the variance of ln CEG over its odds."""
    odds = exponent_odds(pair.base, pair.arm, pair.cost)
    likely = [index for index in range(len(odds)) if odds[index] > UNLIKELY]
    estimates = [_estimate(pair, decided, index) for index in likely]
    weights = odds[likely] / odds[likely].sum()
    logs = np.array([estimate.log_gain for estimate in estimates])
    within = weights @ np.square([estimate.log_sd for estimate in estimates])
    return float(np.sqrt(within + weights @ (logs - weights @ logs) ** 2))


def _crossing_slopes(base: Trend, arm: Trend, at: tuple[float, float]) -> tuple[float, float]:
    """Slopes that turn an error of a loss into one of a crossing.

    Where the loss is a run's own end point, that run's cost is known exactly and its error moves the crossing of the
    other run instead.
    """
    slopes = base.slope_at(at[0]), arm.slope_at(at[1])
    at_end = at[0] >= base.log_cost[-1], at[1] >= arm.log_cost[-1]
    if at_end[0] and not at_end[1]:
        return slopes[1], slopes[1]
    if at_end[1] and not at_end[0]:
        return slopes[0], slopes[0]
    return slopes


def _log_sd(
    trends: tuple[Trend, Trend], at: tuple[float, float], slopes: tuple[float, float], shared_sd: float
) -> float:
    """Standard error of ln CEG at a common loss by the delta method: (error of the loss) / slope for each run.

    What both trends owe to one annealing part moves both crossings alike and mostly cancels.
    """
    if min(slopes) <= 0:
        return float("inf")
    moves = [trend.at(trend.error, x) / slope for trend, x, slope in zip(trends, at, slopes, strict=True)]
    levers = [trend.at(trend.lever, x) / slope for trend, x, slope in zip(trends, at, slopes, strict=True)]
    variance = moves[0] ** 2 + moves[1] ** 2 - 2 * levers[0] * levers[1] * shared_sd**2
    return float(np.sqrt(np.maximum(variance, 0.0)))
