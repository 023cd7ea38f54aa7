"""ln CEG of one variant over its baseline, run by run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from algoprog.ceg.curves import Array


@dataclass(frozen=True)
class Error:
    """The standard error of a mean ln CEG and the degrees of freedom that it is known by."""

    standard: float
    degrees: float
    borrowed: bool = False  # not from the seeds of this variant

    def beside(self, other: Error | None) -> Error:
        """The error of a mean that is off for another, independent reason as well; never known better for it.

        Source: Satterthwaite 1946, for the degrees of freedom.
        """
        if other is None or other.standard <= 0:
            return self
        parts = [(self.standard**2, self.degrees), (other.standard**2, other.degrees)]
        total = sum(variance for variance, _ in parts)
        degrees = total**2 / sum(variance**2 / known for variance, known in parts)
        return Error(float(np.sqrt(total)), min(degrees, self.degrees), self.borrowed)

    def half(self, confidence: float) -> float:
        """Half the width of the two-sided interval."""
        level = (1 + confidence) / 2
        quantile = special.stdtrit(self.degrees, level) if np.isfinite(self.degrees) else special.ndtri(level)
        return float(quantile) * self.standard

    def p_value(self, mean: float) -> float:
        """Two-sided, of a mean this far from 0."""
        if self.standard <= 0:
            return 1.0 if mean == 0 else 0.0
        away = -abs(mean) / self.standard
        return float(2 * (special.stdtr(self.degrees, away) if np.isfinite(self.degrees) else special.ndtr(away)))

    def p_below(self, mean: float) -> float:
        """One-sided, of a mean this far below 0 or further."""
        if self.standard <= 0:
            return 0.0 if mean < 0 else 1.0
        away = mean / self.standard
        return float(special.stdtr(self.degrees, away) if np.isfinite(self.degrees) else special.ndtr(away))


@dataclass(frozen=True)
class Paired:
    """ln CEG seed by seed: variant and baseline of a seed saw the same data from the same start."""

    logs: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(list(self.logs.values())))

    @property
    def runs(self) -> float:
        """Runs a side."""
        return len(self.logs)

    def own_error(self) -> Error | None:
        """Student's, from the scatter of these seeds; None with one.

        Source: Student 1908.
        """
        if len(self.logs) < 2:
            return None
        spread = float(np.std(list(self.logs.values()), ddof=1))
        return Error(spread / np.sqrt(self.runs), len(self.logs) - 1)


@dataclass(frozen=True)
class Unpaired:
    """ln CEG of every run of the variant over every run of the baseline: one row a run of the baseline."""

    logs: Array

    @property
    def mean(self) -> float:
        """Mean over all pairs."""
        return float(self.logs.mean())

    @property
    def runs(self) -> float:
        """Runs a side of as precise a comparison of equally many: the harmonic mean of the two numbers."""
        return 2 / (1 / self.logs.shape[0] + 1 / self.logs.shape[1])

    @property
    def sides(self) -> tuple[Array, Array]:
        """The ln CEG of each run of the baseline, and of each of the variant, against the mean of the other side."""
        return self.logs.mean(axis=1), self.logs.mean(axis=0)

    def own_error(self) -> Error | None:
        """Welch's, from the scatter of either side; None where a side has one run.

        Source: Welch 1947.
        """
        if min(self.logs.shape) < 2:
            return None
        parts = [float(np.var(side, ddof=1)) / len(side) for side in self.sides]
        total = sum(parts)
        shares = sum(part**2 / (len(side) - 1) for part, side in zip(parts, self.sides, strict=True))
        return Error(float(np.sqrt(total)), total**2 / shares if shares > 0 else 1.0)


Sample = Paired | Unpaired
