"""A weighted sum of normal distributions, and its quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from algoprog.ceg.curves import Array

HALVINGS = 60
FAR = 12.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normal parts with weights that sum to 1; `floor` and `log` turn a part's value z into floor + e^z."""

    weight: Array
    centre: Array
    sd: Array
    floor: Array | None = None

    def share_below(self, value: float) -> float:
        """Probability of a smaller value."""
        if self.floor is None:
            standard = (value - self.centre) / self.sd
        else:
            above = np.log(np.maximum(value - self.floor, 1e-300))
            standard = (above - self.centre) / self.sd
        return float(self.weight @ ndtr(standard))

    def quantile(self, share: float) -> float:
        """The value below which a share of the probability lies, by bisection."""
        low, high = self._bounds()
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.share_below(middle) < share else (low, middle)
        return (low + high) / 2

    def span(self, confidence: float) -> tuple[float, float]:
        """The central interval of a level."""
        tail = (1 - confidence) / 2
        return self.quantile(tail), self.quantile(1 - tail)

    def _bounds(self) -> tuple[float, float]:
        low, high = self.centre - FAR * self.sd, self.centre + FAR * self.sd
        if self.floor is None:
            return float(low.min()), float(high.max())
        return float(self.floor.min()), float((self.floor + np.exp(np.minimum(high, 700.0))).max())
