"""Laws through the end points of several sizes, of two algorithms that share what no compute removes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from algoprog.ceg.curves import Array

LEAST_FREE = 3
"""Degrees of freedom below which the scatter about a law says nothing of its error."""

FLAT = 1e-6
"""A fall of ln loss that is none."""

STEEPEST, FLATTEST = 2.0, 0.005
"""Exponents that are tried at most and at least."""

_FLOORS = np.concatenate([[0.0], 1 - np.geomspace(1.0, 0.02, 40)[1:]])
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class FrontierLaws:
    """Loss(C) = E + A C^-a for (baseline, variant), with one E, and an a each where both have three ends.

    `theta` holds E, ln A and a of the baseline, then ln A of the variant and, if it is its own, a; ln C is measured
    from `centre`. `covariance` is that of theta by the scatter of ln loss about the laws, with `free` degrees of
    freedom: ends less parameters, none where one a serves both: nothing shows then whether the gain changes with size.
    """

    theta: Array
    covariance: Array
    free: int
    centre: float
    falls: bool  # whether both fall by more than they scatter, without which no cost belongs to a loss

    @property
    def known(self) -> bool:
        """Whether the scatter tells an error."""
        return self.falls and self.free >= LEAST_FREE

    def log_cost(self, arm: int, loss: float) -> float:
        """Ln of the cost at which the baseline (0) or the variant (1) ends at a loss; inf for one it never reaches."""
        return _log_cost(self.theta, arm, loss) + self.centre

    def loss(self, arm: int, log_cost: float) -> float:
        """Loss at the end of a run of a cost."""
        return float(np.exp(_log_loss(self.theta, np.array([arm]), np.array([log_cost - self.centre]))[0]))

    def log_sd(self, loss: float) -> float:
        """Standard error of ln CEG at a loss, by the delta method; inf where the ends do not tell it."""
        if not self.known:
            return float("inf")
        steps = _STEP * np.eye(len(self.theta)) * np.maximum(np.abs(self.theta), 1.0)
        moved = [_log_gain(self.theta + step, loss) - _log_gain(self.theta - step, loss) for step in steps]
        slope = np.array(moved) / (2 * np.diag(steps))
        return float(np.sqrt(np.maximum(slope @ self.covariance @ slope, 0.0)))


def fit_frontiers(cost: Sequence[Array], loss: Sequence[Array]) -> FrontierLaws:
    """Least squares of ln loss over the ends of (baseline, variant).

    Args:
        cost: of both, rising.
        loss: of both, nats per token.
    """
    arm = np.repeat([0, 1], [len(cost[0]), len(cost[1])])
    x, y = np.log(np.concatenate(cost)), np.log(np.concatenate(loss))
    centre = float(x.mean())
    own = min(map(len, cost)) > 2
    start = _start(arm, x - centre, y, own=own)
    low = np.array([0.0, -np.inf, FLATTEST, -np.inf, FLATTEST][: len(start)])
    high = np.array([float(np.exp(y.min())), np.inf, STEEPEST, np.inf, STEEPEST][: len(start)])

    def residual(theta: Array) -> Array:
        return np.asarray(_log_loss(theta, arm, x - centre) - y)

    tight = {"xtol": 1e-13, "ftol": 1e-13, "gtol": 1e-13}
    found = least_squares(residual, np.clip(start, low + 1e-9, high - 1e-9), bounds=(low, high), x_scale="jac", **tight)
    free = len(x) - len(start) if own else 0
    inside = (found.x > low + 1e-6) & (found.x < high - 1e-6)
    covariance = np.zeros((len(start), len(start)))
    if free > 0:
        jacobian = found.jac[:, inside]
        covariance[np.ix_(inside, inside)] = np.linalg.pinv(jacobian.T @ jacobian) * float(2 * found.cost) / free
    scatter = float(np.sqrt(np.mean(residual(found.x) ** 2)))
    fitted = [_log_loss(found.x, arm, x - centre)[arm == side] for side in (0, 1)]
    falls = all(float(side[0] - side[-1]) > max(2 * scatter, FLAT) for side in fitted)
    return FrontierLaws(found.x, covariance, free, centre, falls)


def _start(arm: Array, x: Array, y: Array, *, own: bool) -> Array:
    """The best of straight lines through ln(loss - E), over many E."""
    fits = []
    for share in _FLOORS:
        floor = share * float(np.exp(y.min()))
        z = np.log(np.exp(y) - floor)
        weight = 1 - floor / np.exp(y)  # an error of ln loss is a larger one of ln(loss - E)
        columns = [arm == 0, -x * (arm == 0), arm == 1, -x * (arm == 1)]
        design = np.stack(columns if own else [columns[0], -x, columns[2]], axis=1) * weight[:, None]
        theta = np.linalg.lstsq(design, z * weight, rcond=None)[0]
        fits.append((float(((design @ theta - z * weight) ** 2).sum()), floor, theta))
    _, floor, theta = min(fits, key=lambda fit: fit[0])
    return np.concatenate([[floor], theta])


def _log_loss(theta: Array, arm: Array, x: Array) -> Array:
    scale = np.where(arm == 0, theta[1], theta[3])
    exponent = np.where(arm == 0, theta[2], _exponent(theta, 1))
    return np.asarray(np.log(theta[0] + np.exp(scale - exponent * x)))


def _log_cost(theta: Array, arm: int, loss: float) -> float:
    if loss <= theta[0]:
        return float("inf")
    return float((theta[1 + 2 * arm] - np.log(loss - theta[0])) / _exponent(theta, arm))


def _exponent(theta: Array, arm: int) -> float:
    return float(theta[4 if arm and len(theta) > 4 else 2])


def _log_gain(theta: Array, loss: float) -> float:
    return _log_cost(theta, 0, loss) - _log_cost(theta, 1, loss)
