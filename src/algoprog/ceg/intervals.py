"""Confidence intervals for ln CEG over paired seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

WIDEST = float(np.log(1e9))
"""An interval that is wider than this factor on either side says nothing and is not given."""


def log_interval(
    log_gains: Sequence[float], log_sd: Callable[[], float], confidence: float
) -> tuple[float, float] | None:
    """Two-sided interval for the mean ln CEG, or None where nothing is known about its spread.

    From two seeds on it is Student's: mean +- t(n - 1) s / sqrt(n), which is exact for normal ln CEG at any n and pays
    for few seeds with its width (t = 2.92 at 3 seeds and 90 %). With one seed the evaluation noise of that pair,
    `log_sd`, is all there is: ln CEG +- z sd.

    Source: Student 1908; see docs/estimators.md for the measured coverage.
    """
    centre = float(np.mean(log_gains))
    tail = (1 + confidence) / 2
    if len(log_gains) > 1:
        half = float(stats.t.ppf(tail, len(log_gains) - 1) * np.std(log_gains, ddof=1) / np.sqrt(len(log_gains)))
    else:
        half = float(stats.norm.ppf(tail)) * log_sd()
    return (centre - half, centre + half) if half < WIDEST else None  # NaN and infinity are not below it either
