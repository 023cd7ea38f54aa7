"""How a gain moves along a ladder of models, and what it will be further up: a random walk with a drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array

DRIFT_SD = 0.1
"""Prior of the drift, d ln CEG / d ln C: most gains change by less than a factor 10^0.1 = 1.26 per decade."""

WALK_SD = 0.04 / np.sqrt(np.log(10.0))
"""The walk: from one decade to the next a gain moves by some 4 % that no straight line follows."""


@dataclass(frozen=True)
class Drift:
    """ln CEG expected at a larger compute with its standard error, and the drift that led there with its own."""

    log_gain: float
    log_sd: float
    slope: float
    slope_sd: float


def drift(log_cost: Array, log_gain: Array, variance: Array, at: float) -> Drift:
    """Best linear prediction of ln CEG at ln C = `at` from one mean and its variance a model, models by rising cost.

    The level is free; drift and walk have the priors above. Measurements that scatter more than the gains move are
    averaged; precise ones let the drift through and give the largest model the most weight.

    Source: universal kriging, Cressie 1993, section 3.4.
    """
    x, here = log_cost - log_cost[0], at - log_cost[0]
    known = np.diag(variance) + _covariance(x, x)
    towards = _covariance(x, np.array([here]))[:, 0]
    along = DRIFT_SD**2 * x  # covariance of the drift with each measurement
    own = float(_covariance(np.array([here]), np.array([here]))[0, 0])
    log_value, log_error = _krige(known, towards, own, log_gain)
    slope, slope_sd = _krige(known, along, DRIFT_SD**2, log_gain, mean=0.0)
    return Drift(log_value, log_error, slope, slope_sd)


def _covariance(one: Array, other: Array) -> Array:
    """Of drift and walk between two places, measured from the smallest model."""
    return DRIFT_SD**2 * np.multiply.outer(one, other) + WALK_SD**2 * np.maximum(np.minimum.outer(one, other), 0.0)


def _krige(known: Array, towards: Array, own: float, values: Array, mean: float = 1.0) -> tuple[float, float]:
    """Prediction and standard error of a quantity whose mean is `mean` times the unknown level."""
    ones = np.ones(len(values))
    inverse = np.linalg.inv(known)
    weight = float(ones @ inverse @ ones)
    level = float(ones @ inverse @ values) / weight
    rest = mean - float(towards @ inverse @ ones)
    value = mean * level + float(towards @ inverse @ (values - level))
    variance = own - float(towards @ inverse @ towards) + rest**2 / weight
    return value, float(np.sqrt(max(variance, 0.0)))
