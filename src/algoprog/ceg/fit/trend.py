"""The smooth trend of one noisy loss curve in log cost, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.runs.divergence import RISE_NATS

MIDDLE, LATE = (0.3, 0.7), 0.85
"""Shares of a run between which, and from which to its end, its slope is taken."""

TYPICAL_EXPONENT = 0.3
"""Of the power law by which a slope is carried from the middle of a run to its end."""

NEAREST = 2
"""Inner ends that tell how far a reading next to them may be off."""

GRID = 256
"""Points of a trend; linear interpolation between them is off by less than 1e-4 of a cost."""


def _nothing() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Trend:
    """A fitted curve on a grid of log cost; losses and errors in nats per token.

    `anneal` is the part of the loss that goes with a cosine learning rate, from its peak at the start to none at the
    end; `lever` is what the fitted loss changes by for each nat that it is corrected by.
    """

    log_cost: Array
    loss: Array
    error: Array  # standard error of the loss
    noise_sd: float  # of one evaluation around the trend
    n_points: int  # evaluations that were smoothed
    anneal: float
    anneal_sd: float
    lever: Array
    knots: Array = field(default_factory=_nothing)  # log costs of the ends that were joined, not smoothed
    left_out: Array = field(default_factory=_nothing)  # nats of each inner one above the curve through the others

    @property
    def envelope(self) -> Array:
        """The best loss so far."""
        return np.minimum.accumulate(self.loss)

    @property
    def smoothed_start(self) -> float:
        """Loss of the trend where its smoothed part begins."""
        return float(self.loss[-GRID])

    @property
    def end(self) -> float:
        """Loss of the trend at the run's last evaluation."""
        return float(self.loss[-1])

    @property
    def lowest(self) -> float:
        """Lowest loss of the trend."""
        return float(self.loss.min())

    @property
    def rising(self) -> bool:
        """Whether the end lies above the minimum by more than the noise of the fit explains."""
        noise = 3 * self.error[-1] if np.isfinite(self.error[-1]) else RISE_NATS
        return bool(self.end - self.lowest > noise + 1e-9)

    def log_cost_at(self, loss: float) -> float:
        """Log of the cost at which the trend first reaches a loss, linear in ln cost between grid points."""
        index = int(np.argmax(self.loss <= loss))
        assert self.loss[index] <= loss, "the caller checks that the loss was reached"
        if index == 0:
            return float(self.log_cost[0])
        high, low = self.loss[index - 1], self.loss[index]
        part = (high - loss) / (high - low)
        return float(self.log_cost[index - 1] + part * (self.log_cost[index] - self.log_cost[index - 1]))

    def at(self, values: Array, log_cost: float) -> float:
        """A quantity of the grid (`error`, `lever`) at a cost."""
        return float(np.interp(log_cost, self.log_cost, values))

    def slope_at(self, log_cost: float) -> float:
        """Nats that the envelope falls for each e-fold of cost, over a tenth of the curve's range; 0 where flat."""
        width = 0.05 * (self.log_cost[-1] - self.log_cost[0])
        ends = np.clip([log_cost - width, log_cost + width], self.log_cost[0], self.log_cost[-1])
        high, low = np.interp(ends, self.log_cost, self.envelope)
        return float((high - low) / (ends[1] - ends[0]))

    def misreadings(self, log_cost: float) -> Array:
        """What ln cost may be misread by at a cost between joined ends, by the two inner ends next to it; 0 at an end.

        The curve through the others misses an inner end by as much as that end strays from the law that all follow.
        Where what budgets reach strays as a random walk in ln cost does, a reading at share t of the way between two
        ends is off by sqrt(2 t (1 - t)) times as much, since leaving an end out doubles the distance.
        """
        count, after = min(len(self.left_out), NEAREST), int(np.searchsorted(self.knots, log_cost))
        if not 0 < after < len(self.knots) or (here := self.slope_at(log_cost)) <= 0:
            return np.zeros(count)
        share = (log_cost - self.knots[after - 1]) / (self.knots[after] - self.knots[after - 1])
        near = np.argsort(np.abs(self.knots[1:-1] - log_cost))[:count]
        slopes = np.array([max(self.slope_at(float(self.knots[1 + index])), here) for index in near])
        return self.left_out[near] / slopes * np.sqrt(2 * share * (1 - share))

    @property
    def annealed_slope(self) -> float:
        """Nats that ends fall for each e-fold of cost, as far as one run tells: its own slope less its annealing.

        A decay that is sharper than a cosine steepens the end of the curve alone. So the slope is taken in the middle
        and falls from there as a power law's does, unless the curve is flatter by itself.
        """
        share = np.exp(self.log_cost - self.log_cost[-1])
        annealing = max(self.anneal, 0.0) * (1 + np.cos(np.pi * share)) / 2
        edges = np.log([*MIDDLE, LATE, 1.0])
        high, low, late, end = np.interp(edges + self.log_cost[-1], self.log_cost, self.loss - annealing)
        middle = (high - low) / (edges[1] - edges[0]) * np.exp(TYPICAL_EXPONENT * edges[:2].mean())
        return float(min(middle, (late - end) / (edges[3] - edges[2])))

    def moved(self, log_cost: float) -> Trend:
        """The trend with its costs multiplied by exp(log_cost)."""
        return replace(self, log_cost=self.log_cost + log_cost, knots=self.knots + log_cost)

    def corrected(self, anneal: float, anneal_sd: float) -> Trend:
        """The trend if its annealing part were this: everything else follows by regression."""
        error = np.sqrt(np.maximum(self.error**2 + self.lever**2 * (anneal_sd**2 - self.anneal_sd**2), 0.0))
        loss = self.loss + self.lever * (anneal - self.anneal)
        return replace(self, loss=loss, error=error, anneal=anneal, anneal_sd=anneal_sd)
