"""Confidence intervals for ln CEG over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algoprog.ceg.seeds.sample import Error, Paired

WIDEST = float(np.log(1e9))
"""An interval that is wider than this factor on either side says nothing and is not given."""


def interval_of(mean: float, error: Error | None, confidence: float) -> tuple[float, float] | None:
    """Two-sided interval for a mean ln CEG, or None where nothing is known about its spread."""
    half = error.half(confidence) if error is not None else np.inf
    return (mean - half, mean + half) if half < WIDEST else None  # NaN and infinity are not below it either


def log_interval(log_gains: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Student's interval for the mean ln CEG of paired seeds: mean +- t(n - 1) s / sqrt(n); None with one seed.

    It is exact for normal ln CEG at any n and pays for few seeds with its width (t = 2.92 at 3 seeds and 90 %). One
    seed tells nothing about another: the noise of its evaluations is not the spread of seeds.

    Source: Student 1908; see docs/estimators.md for the measured coverage.
    """
    sample = Paired(dict(enumerate(log_gains)))
    return interval_of(sample.mean, sample.own_error(), confidence)
