"""The paper's own estimator, kept exactly so that its Table 3 can be recomputed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import CostAt, Estimate, Estimator, Target, compare, setting
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.pairs.ends import mid_schedule

EVALUATIONS = 101
"""Evaluations of a run in the paper: every 500 of 50,000 steps, step 0 included."""


@dataclass(frozen=True)
class Paper(Estimator):
    """CEG = n_baseline / n_variant, n = (index of the first smoothed loss <= target) + index_base.

    Losses are smoothed by a trailing mean over `window` evaluations (shorter at the start); the target is the
    baseline's smoothed last (or lowest) loss; a variant that never gets there is compared at its own smoothed minimum.
    `shift` (nats) is added to the variant's losses first: the authors' notebook adds |ln - none| to rope and mqa before
    its full-scale column. On cost axes other than steps the count of evaluations is multiplied by what the run paid on
    average between two of them. The authors evaluated on an even grid, so an uneven curve is first interpolated onto an
    even one of 101 evaluations and flagged `resampled`.

    Source: Sanderson et al. 2025, arXiv 2505.04075, section 3 and the authors' notebook.
    """

    rank: ClassVar[int] = 1
    name: ClassVar[str] = "paper"
    summary: ClassVar[str] = "counts evaluations of an 8-point moving average, as the paper does; pulled toward 1"
    source: ClassVar[str] = "Sanderson et al. 2025, arXiv 2505.04075"

    window: int = setting(8, "evaluations in the trailing mean")
    index_base: int = setting(1, "index of the first evaluation, 0 or 1")
    shift: float = setting(0.0, "nats added to the variant's losses")

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"the trailing mean of paper has {self.window} evaluations: give window=1 or more")
        if self.index_base not in (0, 1):
            raise ValueError(f"the first evaluation of paper has index {self.index_base}: give index_base=0 or 1")
        if not math.isfinite(self.shift):
            raise ValueError(f"the shift of paper is {self.shift}: give nats, such as shift=0.1")

    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG of one pair; see the class for the formula.

        Raises:
            ValueError: a curve lacks the cost axis or has fewer than two evaluations.
        """
        base, arm = _even(baseline, cost), _even(variant, cost)
        shift = 0.0 if baseline is variant else self.shift
        losses = smooth(base.loss, self.window), smooth(arm.loss + shift, self.window)
        resampled = ("resampled",) if base.resampled or arm.resampled else ()
        return compare(
            _target(losses[0], target),
            (float(losses[0].min()), float(losses[1].min())),
            (self._log_cost(losses[0], base.price), self._log_cost(losses[1], arm.price)),
            (self._log_end(base), self._log_end(arm)),
            lambda loss: self._log_sd((baseline, variant), cost, losses, loss),
            lambda at: (*resampled, *mid_schedule((baseline, variant), cost, at)),
        )

    def _log_end(self, curve: _Even) -> float:
        return float(np.log((len(curve.loss) - 1 + self.index_base) * curve.price))

    def _log_cost(self, smoothed: Array, price: float) -> CostAt:
        """Log of (index + index_base) * price at the first smoothed loss at or below the target."""
        return lambda loss: float(np.log((first_index(smoothed, loss) + self.index_base) * price))

    def _log_sd(self, pair: tuple[Curve, Curve], cost: str, losses: tuple[Array, Array], target: float) -> float:
        """Delta method: a crossing moves by (noise of the mean of `window` evaluations) / (slope there)."""
        if pair[0] is pair[1]:
            return 0.0
        variance = 0.0
        for curve, loss in zip(pair, losses, strict=True):
            index = first_index(loss, target)
            low, high = max(0, index - self.window), min(len(loss) - 1, index + self.window)
            fall = float(loss[low] - loss[high]) / np.log((high + 1) / (low + 1))
            if fall <= 0:
                return float("inf")
            noise = trend_of(curve, cost).noise_sd / np.sqrt(min(self.window, index + 1))
            # a crossing is known to one evaluation only, which is uniform noise of variance 1/12
            variance += (noise / fall) ** 2 + 1 / (12 * (index + 1) ** 2)
        return float(np.sqrt(variance))


@dataclass(frozen=True)
class _Even:
    """Losses on an even grid, the mean cost between two of its evaluations, and whether it was interpolated."""

    loss: Array
    price: float
    resampled: bool


def _even(curve: Curve, cost: str) -> _Even:
    progress = curve.costs.get("steps", curve.cost(cost))
    keep = np.isfinite(curve.val_loss)
    x, loss = progress[keep], curve.val_loss[keep]
    if len(x) < 2:
        raise ValueError(f"{curve} has {len(x)} usable evaluations: the paper's estimator needs at least two")
    rate = float(curve.cost(cost)[keep][-1] / x[-1])
    gaps = np.diff(x)
    if gaps.max() - gaps.min() <= 0.01 * gaps.mean() and x[0] <= 1.01 * gaps.mean():
        return _Even(loss, float(gaps.mean()) * rate, resampled=False)
    grid = np.linspace(0.0, x[-1], EVALUATIONS)
    return _Even(np.interp(grid, x, loss), float(grid[1]) * rate, resampled=True)


def smooth(loss: Array, window: int) -> Array:
    """Trailing mean over `window` values, over fewer at the start."""
    total = np.concatenate([[0.0], np.cumsum(loss)])
    end = np.arange(1, len(loss) + 1)
    start = np.maximum(0, end - window)
    return np.asarray((total[end] - total[start]) / (end - start))


def first_index(loss: Array, target: float) -> int:
    """Index of the first loss at or below the target; the caller knows that there is one."""
    return int(np.argmax(loss <= target))


def _target(smoothed: Array, target: Target) -> float:
    if target == "final":
        return float(smoothed[-1])
    return float(smoothed.min()) if target == "min" else float(target)
