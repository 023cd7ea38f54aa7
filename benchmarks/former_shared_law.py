"""One law of loss against compute for all variants: E and a are shared, the scale is each variant's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from algoprog.ceg.curves import Array
from algoprog.ceg.fit.law import EXPONENTS, HUBER_DELTA

GRID = EXPONENTS[::4]
LARGEST_FLOOR = 0.8
"""Where the floor cannot be fitted it lies anywhere between none and this share of the lowest loss."""


@dataclass(frozen=True, eq=False)
class Ends:
    """End points of runs: variant as an index, ln cost less its mean times the variant's steepness, loss in nats."""

    arm: Array
    x: Array
    loss: Array

    @property
    def arms(self) -> int:
        """Number of variants."""
        return int(self.arm.max()) + 1

    @property
    def has_floor(self) -> bool:
        """Whether the models are enough to tell the floor: three costs or more."""
        return len(np.unique(np.round(self.x[self.arm == 0], 1))) > 2


@dataclass(frozen=True, eq=False)
class SharedLaw:
    """Loss of arm v = floor + scales[v] e^(-exponent x)."""

    floor: float
    exponent: float
    scales: Array

    def loss(self, arm: Array | int, x: Array | float) -> Array:
        """Loss of variants at scaled, centred ln cost."""
        index = np.asarray(arm, dtype=int)
        return np.asarray(self.floor + self.scales[index] * np.exp(-self.exponent * np.asarray(x)))


def fit_shared(ends: Ends) -> SharedLaw:
    """Minimise the sum of Huber losses of ln(fitted / measured); without a fitted floor, take half the possible one."""
    if not ends.has_floor:
        return _given_floor(ends, ends.loss, LARGEST_FLOOR / 2 * float(ends.loss.min()))
    start = _closed_form(ends, ends.loss[None, :])[0]
    first = np.log(np.maximum([start.floor, start.exponent, *start.scales], 1e-9))
    arm = ends.arm.astype(int)

    def residuals(p: Array) -> Array:
        fitted = np.exp(p[0]) + np.exp(p[2:][arm] - np.exp(p[1]) * ends.x)
        return np.asarray(np.log(fitted / ends.loss))

    low = np.concatenate([np.log([1e-9, EXPONENTS[0]]), np.full(ends.arms, -30.0)]) - 1e-6
    high = np.concatenate([np.log([ends.loss.min(), EXPONENTS[-1]]), np.full(ends.arms, 30.0)]) + 1e-6
    tight = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    start_at = np.clip(first, low, high)
    found = least_squares(residuals, start_at, bounds=(low, high), loss="huber", f_scale=HUBER_DELTA, **tight).x
    return SharedLaw(float(np.exp(found[0])), float(np.exp(found[1])), np.exp(found[2:]))


def replicates(law: SharedLaw, ends: Ends, count: int, seed: int = 0) -> list[SharedLaw]:
    """Laws refitted to the fitted losses plus normal noise of the residuals' size, the floor drawn where not fitted.

    Empty where no degree of freedom is left to tell the noise from.
    """
    free = len(ends.loss) - ends.arms - (2 if ends.has_floor else 1)
    if free < 1:
        return []
    fitted = law.loss(ends.arm, ends.x)
    rng = np.random.default_rng(seed)
    spread = np.sqrt(((ends.loss / fitted - 1) ** 2).sum() / rng.chisquare(free, size=(count, 1)))
    samples = fitted * np.maximum(1 + spread * rng.normal(size=(count, len(fitted))), 0.01)
    if ends.has_floor:
        return _closed_form(ends, samples)
    floors = rng.uniform(0.0, LARGEST_FLOOR, count) * samples.min(1)
    return [_given_floor(ends, sample, float(floor)) for sample, floor in zip(samples, floors, strict=True)]


def _given_floor(ends: Ends, loss: Array, floor: float) -> SharedLaw:
    """Parallel straight lines through ln(loss - floor), one a variant."""
    y, members = np.log(loss - floor), [ends.arm == arm for arm in range(ends.arms)]
    x_mean, y_mean = (np.array([values[member].mean() for member in members]) for values in (ends.x, y))
    arm = ends.arm.astype(int)
    x, y = ends.x - x_mean[arm], y - y_mean[arm]
    exponent = max(float(-(x @ y) / (x @ x)), float(EXPONENTS[0]))
    return SharedLaw(floor, exponent, np.exp(y_mean + exponent * x_mean))


def _closed_form(ends: Ends, samples: Array) -> list[SharedLaw]:
    """Least squares of relative residuals for many samples: per exponent the floor, then each scale, is linear."""
    weight = ends.loss**-2.0
    member = np.array([ends.arm == arm for arm in range(ends.arms)], dtype=float)
    power = np.exp(-np.multiply.outer(GRID, ends.x))
    norm = (weight * power**2) @ member.T  # exponent, arm
    ones = (weight * power) @ member.T
    response = np.einsum("gn,vn,sn->sgv", weight * power, member, samples, optimize=True)
    across = float(weight.sum()) - (ones**2 / norm).sum(1)
    floor = ((samples @ weight)[:, None] - (response * ones / norm).sum(2)) / np.maximum(across, 1e-12)
    floor = np.clip(floor, 0.0, samples.min(1)[:, None])
    scale = (response - floor[:, :, None] * ones) / norm
    left = (
        -2 * floor * (samples @ weight)[:, None]
        + floor**2 * weight.sum()
        - 2 * (scale * response).sum(2)
        + (scale**2 * norm).sum(2)
        + 2 * floor * (scale * ones).sum(2)
    )
    best = np.argmin(left, axis=1)
    rows = np.arange(len(samples))
    found = zip(floor[rows, best], GRID[best], scale[rows, best], strict=True)
    return [SharedLaw(float(e), float(a), np.maximum(scales, 1e-9)) for e, a, scales in found]
