"""Chinchilla laws of all variants: loss = E + A / N^alpha + B / D^beta; E is shared, exponents are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from algoprog.ceg.curves import Array
from algoprog.ceg.fit.law import HUBER_DELTA

SIZES, BUDGETS = 3, 3
"""Sizes, and budgets at each of them, below which the law is not fitted: it has a floor and two exponents to tell."""

STARTS = (0.15, 0.3, 0.5, 0.8)
BEST_STARTS = 4

ALIKE = 0.1
"""Prior sd of ln(a variant's exponent / the common one): exponents of one text and one kind of model differ little."""

TIGHT = {"ftol": 1e-12, "gtol": 1e-6}
LOOSE = {"ftol": 1e-6, "gtol": 1e-2}
"""When a fit stops; replicates start at the answer, and their quantiles are the same to four digits with the second."""


@dataclass(frozen=True, eq=False)
class Points:
    """Annealed end points: variant and run as an index, parameters and tokens (over their means), loss in nats."""

    arm: Array
    run: Array
    log_n: Array
    log_d: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class ParamsDataLaw:
    """floor + a[v] e^(-alpha[v] ln N) + b[v] e^(-beta[v] ln D), N and D relative to the means of the fit."""

    floor: float
    common: tuple[float, float]  # alpha and beta
    alpha: Array
    beta: Array
    a: Array
    b: Array

    def loss(self, arm: int, log_n: float, log_d: float) -> float:
        """Loss of a variant."""
        parts = self.a[arm] * np.exp(-self.alpha[arm] * log_n) + self.b[arm] * np.exp(-self.beta[arm] * log_d)
        return float(self.floor + parts)

    def log_tokens(self, arm: int, log_n: float, loss: float) -> float:
        """Ln D that brings a variant of a size to a loss; inf where no amount does."""
        rest = loss - self.floor - self.a[arm] * np.exp(-self.alpha[arm] * log_n)
        return float(np.log(self.b[arm] / rest) / self.beta[arm]) if rest > 0 else float("inf")


def enough(sizes: Array, tokens: Array) -> bool:
    """Whether there are as many sizes with as many different budgets as the law needs."""
    budgets = [len(np.unique(np.round(np.log(tokens[sizes == size]), 2))) for size in np.unique(sizes)]
    return sum(count >= BUDGETS for count in budgets) >= SIZES


def fit_params_data(points: Points) -> ParamsDataLaw:
    """Minimise the sum of Huber losses of ln(fitted / measured) by L-BFGS from the best of a grid of starts.

    The sum, not the mean, and a tight tolerance: the mean of so small numbers let L-BFGS stop early in Hoffmann's fit.

    Source: Hoffmann et al. 2022, arXiv 2203.15556, approach 3; corrections of Besiroglu et al. 2024, arXiv 2404.10102.
    """
    starts = [_start(points, alpha, beta) for alpha in STARTS for beta in STARTS]
    starts.sort(key=lambda start: _objective(start, points)[0])
    found = [_minimise(start, points) for start in starts[:BEST_STARTS]]
    return _law(min(found, key=lambda pair: pair[0])[1])


def replicates(law: ParamsDataLaw, points: Points, count: int, seed: int = 0) -> list[ParamsDataLaw]:
    """Laws refitted with each run's residuals times a normal number of its own; empty without a spare point.

    The end points of one run are off together, which this wild bootstrap keeps. The priors' centres are drawn too, so
    that the laws spread as much as what is believed of the exponents.
    """
    free = len(points.loss) - 3 - 3 * len(law.a)  # the exponents are half free
    if free < 1:
        return []
    start = _parameters(law)
    fitted = _predicted(start, points)[0]
    residual = (np.log(points.loss) - fitted) * np.sqrt(len(fitted) / free)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        noise = residual * rng.normal(size=int(points.run.max()) + 1)[points.run.astype(int)]
        centre = ALIKE * rng.normal(size=(2, len(law.a)))
        sample = Points(points.arm, points.run, points.log_n, points.log_d, np.exp(fitted + noise))
        found.append(_law(_minimise(start, sample, centre, LOOSE)[1]))
    return found


def _split(p: Array) -> tuple[Array, Array]:
    """Parameters as (ln floor, ln alpha, ln beta) and rows of ln a, ln b, ln alpha[v] / alpha, ln beta[v] / beta."""
    return p[:3], p[3:].reshape(4, -1)


def _predicted(p: Array, points: Points) -> tuple[Array, Array, Array]:
    """Ln of the fitted losses, the shares of floor, size and data in each, and the exponents of each point."""
    (floor, alpha, beta), own = _split(p)
    mine = own[:, points.arm.astype(int)]
    exponents = np.exp(np.stack([alpha + mine[2], beta + mine[3]]))
    size, data = mine[0] - exponents[0] * points.log_n, mine[1] - exponents[1] * points.log_d
    terms = np.stack([np.full(len(points.loss), floor), size, data])
    top = terms.max(0)
    log_loss = top + np.log(np.exp(terms - top).sum(0))
    return log_loss, np.exp(terms - log_loss), exponents


def _objective(p: Array, points: Points, centre: Array | float = 0.0) -> tuple[float, Array]:
    """Sum of Huber losses plus the priors of the exponents, with its gradient, in units of delta squared."""
    log_loss, share, exponents = _predicted(p, points)
    _, own = _split(p)
    residual = (log_loss - np.log(points.loss)) / HUBER_DELTA
    inside = np.abs(residual) <= 1
    away = (own[2:] - centre) / ALIKE
    huber = np.where(inside, residual**2 / 2, np.abs(residual) - 0.5)
    value = float(huber.sum() + (away**2).sum() / 2)
    pull = np.where(inside, residual, np.sign(residual)) / HUBER_DELTA
    size, data = pull * share[1], pull * share[2]
    by_size, by_data = -size * exponents[0] * points.log_n, -data * exponents[1] * points.log_d
    arm, arms = points.arm.astype(int), own.shape[1]
    each: Array = np.stack([np.bincount(arm, values, arms) for values in (size, data, by_size, by_data)])
    each = each + np.concatenate([np.zeros((2, arms)), away / ALIKE])
    return value, np.concatenate([[pull @ share[0], by_size.sum(), by_data.sum()], each.ravel()])


def _minimise(
    start: Array, points: Points, centre: Array | float = 0.0, stop: Mapping[str, float] = TIGHT
) -> tuple[float, Array]:
    arms = (len(start) - 3) // 4
    common = [(-7.0, float(np.log(points.loss.min()))), (-4.0, 1.0), (-4.0, 1.0)]
    bounds = [*common, *[(-12.0, 6.0)] * (2 * arms), *[(-1.0, 1.0)] * (2 * arms)]
    often = {"maxiter": 2000, "maxfun": 4000}
    found = minimize(
        _objective, start, args=(points, centre), jac=True, method="L-BFGS-B", bounds=bounds, options={**stop, **often}
    )
    return float(found.fun), np.asarray(found.x)


def _start(points: Points, alpha: float, beta: float) -> Array:
    """Floor and scales by least squares for given exponents, kept positive."""
    arms = int(points.arm.max()) + 1
    member = np.array([points.arm == arm for arm in range(arms)], dtype=float).T
    size = member * np.exp(-alpha * points.log_n)[:, None]
    data = member * np.exp(-beta * points.log_d)[:, None]
    design = np.column_stack([np.ones(len(points.loss)), size, data])
    values = np.linalg.lstsq(design, points.loss, rcond=None)[0]
    low = float(points.loss.min())
    values = np.concatenate([[np.clip(values[0], 0.05 * low, 0.9 * low)], np.clip(values[1:], 0.01 * low, None)])
    return np.concatenate([np.log(values[:1]), np.log([alpha, beta]), np.log(values[1:]), np.zeros(2 * arms)])


def _parameters(law: ParamsDataLaw) -> Array:
    own = [law.a, law.b, law.alpha / law.common[0], law.beta / law.common[1]]
    return np.log(np.concatenate([[max(law.floor, 1e-3), *law.common], *own]))


def _law(p: Array) -> ParamsDataLaw:
    (floor, *common), own = np.exp(p[:3]), np.exp(_split(p)[1])
    alpha, beta = common[0] * own[2], common[1] * own[3]
    return ParamsDataLaw(float(floor), (float(common[0]), float(common[1])), alpha, beta, own[0], own[1])
