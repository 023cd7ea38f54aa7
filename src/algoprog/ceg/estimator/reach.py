"""At which loss two runs may be compared: where each stands at an end, or between ends, of its budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import SAME_LOSS
from algoprog.ceg.fit.trend import Trend
from algoprog.ceg.pairs.ends import MEET, several_ends


@dataclass(frozen=True, eq=False)
class Reach:
    """The losses that one run's ends span, and ln of the cost of each.

    A run with several ends is read off between them, on the trend of its ends alone. One with a single end is that
    point: its curve leads through losses that a shorter budget would have ended below, so `slope` (nats an e-fold of
    cost) extends it, where the ends of two runs just miss each other.
    """

    trend: Trend
    several: bool
    slope: float
    usable: bool = True  # False where no evaluation is an end

    @property
    def lowest(self) -> float:
        """Lowest loss at an end."""
        return self.trend.lowest if self.several else self.trend.end

    @property
    def highest(self) -> float:
        """Loss at the end of the smallest budget."""
        return float(self.trend.loss[0]) if self.several else self.trend.end

    def beyond(self, loss: float) -> float:
        """By how much ln cost lies above the last end (positive) or below the first (negative) at a loss."""
        missed = max(self.lowest - loss, 0.0) - max(loss - self.highest, 0.0)
        return missed / self._slope(-1 if missed > 0 else 0) if missed else 0.0

    def log_cost_at(self, loss: float) -> float:
        """Ln cost at a loss, extended by the slope beyond the ends."""
        inside = min(max(loss, self.lowest), self.highest)
        at = self.trend.log_cost_at(inside) if self.several else float(self.trend.log_cost[-1])
        return at + self.beyond(loss)

    def _slope(self, edge: int) -> float:
        own = self.trend.slope_at(float(self.trend.log_cost[edge])) if self.several else 0.0
        return own if own > 0 else self.slope


def reaches(pair: tuple[Curve, Curve], trends: tuple[Trend, Trend], cost: str) -> tuple[Reach, Reach]:
    """Baseline's and variant's reach; both take the slope of ends, the baseline's first, or else of its curve."""
    several = [several_ends(curve, cost) for curve in pair]
    steep = trends[1] if several[1] and not several[0] else trends[0]
    slope = steep.slope_at(float(steep.log_cost[-1])) if any(several) else steep.annealed_slope
    found = [
        Reach(trend, many, slope, bool(curve.at_end(cost).any()))
        for curve, trend, many in zip(pair, trends, several, strict=True)
    ]
    return found[0], found[1]


@dataclass(frozen=True)
class Meeting:
    """Whether the ends of runs meet, and where they are compared.

    At the `wanted` loss, or the `lowest` or `highest` that both reach at an end; at the `crossing` of the wanted loss
    where single runs pass it so late that they stand at their ends; or, with None, not at ends at all.
    """

    ends_meet: bool
    at: Literal["wanted", "lowest", "highest", "crossing"] | None

    def loss(self, base: Reach, arm: Reach, wanted: float) -> float | None:
        """The loss at which the ends of one pair are compared; None where the runs' own curves are."""
        if self.at == "lowest":
            return max(wanted, base.lowest, arm.lowest)
        if self.at == "highest":
            return min(wanted, base.highest, arm.highest)
        return wanted if self.at == "wanted" else None


def meeting(pairs: Sequence[tuple[Reach, Reach]], wanted: Sequence[float], *, given: bool, seed_sd: float) -> Meeting:
    """Decide for the pairs of all seeds together, by their means: one seed's luck makes no ends meet.

    Ends meet where ln cost at equal loss differs by 5 %, or by two seed sds (nats), at most; the slope corrects what is
    left. A loss that was asked for (`given`) and lies above an end within a run is not moved: the answer would be to
    another question.
    """
    if not all(reach.usable and reach.slope > 0 for pair in pairs for reach in pair):
        return Meeting(all(_is_one_end(*pair) for pair in pairs), None)
    limit = max(MEET, 2 * max(seed_sd, _end_sd(pairs)) / float(np.mean([base.slope for base, _ in pairs])))
    several = all(reach.several for pair in pairs for reach in pair)
    if given and _cross_at_ends(pairs, wanted):
        return Meeting(True, "crossing")
    ends_meet = abs(float(np.mean([_gap(*pair) for pair in pairs]))) <= limit
    low = float(np.mean([loss - max(b.lowest, a.lowest) for (b, a), loss in zip(pairs, wanted, strict=True)]))
    choices: list[Meeting] = [Meeting(ends_meet, "wanted")]
    if low < 0:
        choices.append(Meeting(ends_meet, "lowest"))
    elif several or not given:
        choices.append(Meeting(ends_meet, "highest"))
    for choice in choices:
        losses = [choice.loss(*pair, loss) for pair, loss in zip(pairs, wanted, strict=True)]
        if _at_ends(pairs, [loss for loss in losses if loss is not None], limit):
            return choice
    return Meeting(ends_meet, None)


def _is_one_end(base: Reach, arm: Reach) -> bool:
    """Whether two runs end at the same loss and cost, as a run and itself do, so that no slope is needed."""
    loss, cost = base.trend.end - arm.trend.end, base.trend.log_cost[-1] - arm.trend.log_cost[-1]
    return base.usable and arm.usable and max(abs(loss), abs(float(cost))) <= SAME_LOSS


def _cross_at_ends(pairs: Sequence[tuple[Reach, Reach]], wanted: Sequence[float]) -> bool:
    """Whether single runs pass the wanted loss within the last 5 % of their cost, by the mean over seeds."""
    trends = [[reach.trend for reach in pair] for pair in pairs]
    if any(reach.several for pair in pairs for reach in pair):
        return False
    lowest = np.mean([[trend.lowest for trend in pair] for pair in trends], axis=0)
    left = [
        [trend.log_cost[-1] - trend.log_cost_at(max(loss, trend.lowest)) for trend in pair]
        for pair, loss in zip(trends, wanted, strict=True)
    ]
    return bool((lowest <= np.mean(wanted)).all() and np.mean(left, axis=0).max() <= MEET)


def _at_ends(pairs: Sequence[tuple[Reach, Reach]], losses: Sequence[float], limit: float) -> bool:
    """Whether runs need the slope for little more than what two ends may differ by."""
    beyond = np.array([[reach.beyond(loss) for reach in pair] for pair, loss in zip(pairs, losses, strict=True)])
    base, arm = beyond.mean(0)
    return bool(max(abs(base), abs(arm)) <= 2 * limit and abs(base - arm) <= limit)


def _gap(base: Reach, arm: Reach) -> float:
    """Ln cost by which the ends of two runs miss each other at equal loss, positive where the variant's are lower."""
    return (max(base.lowest - arm.highest, 0.0) - max(arm.lowest - base.highest, 0.0)) / base.slope


def _end_sd(pairs: Sequence[tuple[Reach, Reach]]) -> float:
    """Sd of a run's last end between seeds, nats; 0 with one seed."""
    losses = np.array([[reach.lowest for reach in pair] for pair in pairs])
    return float(np.sqrt(losses.var(0, ddof=1).mean())) if len(losses) > 1 else 0.0


def settling_budget(log_gain: float, base: Trend, arm: Trend) -> float | None:
    """Times its budget that the baseline would have to be trained, to an end, for the loss at the variant's end."""
    with np.errstate(over="ignore"):
        times = float(np.exp(log_gain + arm.log_cost[-1] - base.log_cost[-1]))
    return times if np.isfinite(times) and times > 0 else None
