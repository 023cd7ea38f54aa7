"""Power laws of loss against compute: E + A C^-a, fitted robustly, with a bootstrap for their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from algoprog.ceg.curves import Array

HUBER_DELTA = 1e-3
"""Residuals of ln loss beyond this count linearly (Hoffmann et al. 2022, approach 3)."""

EXPONENTS = np.geomspace(0.02, 1.5, 400)
PARAMETERS = 3


@dataclass(frozen=True)
class Law:
    """Loss(C) = floor + scale (C / reference)^-exponent, nats per token; `reference` only keeps numbers near one."""

    floor: float
    scale: float
    exponent: float
    reference: float

    def loss(self, cost: Array | float) -> Array:
        """Loss at a cost."""
        return np.asarray(self.floor + self.scale * (np.asarray(cost) / self.reference) ** -self.exponent)

    def log_cost(self, loss: float) -> float:
        """Log of the cost that reaches a loss, ln reference + ln(scale / (loss - floor)) / exponent; inf below it."""
        if loss <= self.floor:
            return float("inf")
        return float(np.log(self.reference) + np.log(self.scale / (loss - self.floor)) / self.exponent)


def fit_law(cost: Array, loss: Array) -> Law:
    """Minimise the sum of Huber losses of ln(fitted / measured), floor and scale kept positive.

    The sum, not the mean, is minimised and to a tight tolerance: stopping early was what made Hoffmann's intervals too
    narrow. The start is the best of a grid of exponents, each with its closed-form floor and scale.

    With two different costs the floor cannot be told from the scale and is 0.

    Raises:
        ValueError: fewer than two different costs.

    Source: Hoffmann et al. 2022, arXiv 2203.15556, approach 3; corrections of Besiroglu et al. 2024, arXiv 2404.10102.
    """
    different = len(np.unique(np.round(np.log(cost), 1)))  # seeds differ a little in seconds
    if different < 2:
        raise ValueError(f"{different} different cost: a power law needs at least two, better three")
    reference = float(np.exp(np.mean(np.log(cost))))
    x = np.log(cost / reference)
    if different < PARAMETERS:
        slope, intercept = np.polyfit(x, np.log(loss), 1)
        return Law(0.0, float(np.exp(intercept)), max(float(-slope), EXPONENTS[0]), reference)
    floor, scale, exponent = closed_form(x, loss, loss[None, :])[0]

    def residuals(parameters: Array) -> Array:
        fitted = np.exp(parameters[0]) + np.exp(parameters[1] - np.exp(parameters[2]) * x)
        return np.asarray(np.log(fitted / loss))

    low, high = np.log([1e-6, 1e-9, EXPONENTS[0] / 2]), np.log([loss.min(), 10 * loss.max(), EXPONENTS[-1] * 2])
    start = np.clip(np.log(np.maximum([floor, scale, exponent], 1e-12)), low + 1e-6, high - 1e-6)
    tight = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    found = least_squares(residuals, start, bounds=(low, high), loss="huber", f_scale=HUBER_DELTA, **tight)
    floor, scale, exponent = np.exp(found.x)
    return Law(float(floor), float(scale), float(exponent), reference)


def closed_form(x: Array, weight_loss: Array, samples: Array) -> Array:
    """Least squares of relative residuals for many loss vectors at once: rows of (floor, scale, exponent).

    For each exponent of a grid, floor and scale solve two normal equations; the best exponent wins. A negative floor is
    set to zero and the scale fitted alone.
    """
    weight = weight_loss**-2
    power = np.exp(-np.multiply.outer(EXPONENTS, x))
    one_one, one_power, power_power = weight.sum(), power @ weight, power**2 @ weight
    one_loss, power_loss = (samples @ weight)[:, None], (samples * weight) @ power.T
    determinant = one_one * power_power - one_power**2
    floor = (power_power * one_loss - one_power * power_loss) / determinant
    scale = (one_one * power_loss - one_power * one_loss) / determinant
    good = (floor >= 0) & (scale > 0)
    floor, scale = np.where(good, floor, 0.0), np.where(good, scale, power_loss / power_power)
    explained = floor * one_loss + scale * power_loss
    best = np.argmax(explained, axis=1)
    rows = np.arange(len(samples))
    return np.column_stack([floor[rows, best], scale[rows, best], EXPONENTS[best]])


def bootstrap(law: Law, cost: Array, loss: Array, count: int, seed: int = 0) -> list[Law]:
    """Laws refitted to the fitted losses plus normal noise of the residuals' size (n - parameters degrees of freedom).

    With no degree of freedom left the residuals say nothing and the list is empty.
    """
    free = len(cost) - (PARAMETERS if law.floor else PARAMETERS - 1)
    if free < 1:
        return []
    fitted = law.loss(cost)
    sd = float(np.sqrt(((loss / fitted - 1) ** 2).sum() / free))
    rng = np.random.default_rng(seed)
    # a chi-square draw for the variance gives the Student tails that few degrees of freedom need
    spread = sd * np.sqrt(free / rng.chisquare(free, size=(count, 1)))
    samples = fitted * np.maximum(1 + spread * rng.normal(size=(count, len(cost))), 0.01)  # losses are positive
    x = np.log(cost / law.reference)
    rows = (closed_form(x, fitted, samples) if law.floor else _without_floor(x, samples)).tolist()
    return [Law(floor, scale, exponent, law.reference) for floor, scale, exponent in rows]


def _without_floor(x: Array, samples: Array) -> Array:
    """Straight lines through ln loss: rows of (0, scale, exponent)."""
    slope, intercept = np.polyfit(x, np.log(samples).T, 1)
    return np.column_stack([np.zeros(len(samples)), np.exp(intercept), np.maximum(-slope, EXPONENTS[0])])
