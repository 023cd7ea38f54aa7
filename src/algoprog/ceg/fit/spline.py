"""A penalised regression spline whose smoothness is chosen by restricted maximum likelihood (REML)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import eigh

from algoprog.ceg.curves import Array

DEGREE = 3
MAX_SEGMENTS = 26
PENALTIES = np.geomspace(1e-9, 1e4, 53)
"""Penalties that are tried, relative to the largest eigenvalue of the wiggly part."""


@dataclass(frozen=True)
class Wiggles:
    """Cubic splines without their straight lines, each column with the same prior variance.

    The columns are scaled so that the sum of their squared coefficients is the integral of the squared second
    derivative, which turns a smoothing spline into ridge regression. Knots lie at quantiles of the data.

    Source: Wood, Generalized Additive Models (2017), sections 5.3.1 and 6.6.1.
    """

    knots: Array
    weights: Array

    @classmethod
    def on(cls, u: Array) -> Wiggles:
        """The columns for abscissae in increasing order."""
        segments = max(1, min(MAX_SEGMENTS, len(u) - DEGREE))
        breaks = np.unique(np.quantile(u, np.linspace(0, 1, segments + 1)))
        knots = np.concatenate([[breaks[0]] * DEGREE, breaks, [breaks[-1]] * DEGREE])
        values, vectors = eigh(_roughness(knots, breaks))
        scale = np.sqrt(np.maximum(values[2:], 1e-12 * values[-1]))
        return cls(knots, np.asarray(vectors[:, 2:] / scale))

    def at(self, u: Array) -> Array:
        """Their values, one row an abscissa."""
        design = BSpline.design_matrix(np.clip(u, self.knots[0], self.knots[-1]), self.knots, DEGREE)
        return np.asarray(design.toarray() @ self.weights)


def _roughness(knots: Array, breaks: Array) -> Array:
    """Integrals of products of second derivatives; Gauss-Legendre with 3 nodes a segment is exact for cubics."""
    nodes, weights = np.polynomial.legendre.leggauss(3)
    half = np.diff(breaks) / 2
    middle = (breaks[1:] + breaks[:-1]) / 2
    points = (middle[:, None] + half[:, None] * nodes).ravel()
    second = BSpline(knots, np.eye(len(knots) - DEGREE - 1), DEGREE).derivative(2)(points)
    return np.asarray((second * (half[:, None] * weights).ravel()[:, None]).T @ second)


@dataclass(frozen=True)
class Solution:
    """Coefficients of fixed columns and wiggles, their covariance, the noise variance, the REML score (to minimise)."""

    coefficients: Array
    covariance: Array
    variance: float
    score: float


def solve(fixed: Array, wiggles: Array, response: Array, penalties: Array = PENALTIES) -> Solution:
    """Ridge on the wiggles only, the penalty chosen by REML with the noise variance profiled out.

    Source: Wood (2017), section 6.2.6, for a single penalty, where one eigendecomposition serves every penalty.
    """
    free = len(response) - fixed.shape[1]
    q, r = np.linalg.qr(fixed)
    z = wiggles - q @ (q.T @ wiggles)
    y = response - q @ (q.T @ response)
    values, vectors = eigh(z.T @ z)
    values = np.maximum(values, 0.0)
    projected = vectors.T @ (z.T @ y)
    penalty = penalties * values[-1] if values[-1] > 0 else penalties
    explained = (projected**2 / (values + penalty[:, None])).sum(1)
    variance = np.maximum((y @ y - explained) / free, 1e-16)
    score = free * np.log(variance) + np.log1p(values / penalty[:, None]).sum(1) + 2 * np.log(np.abs(np.diag(r))).sum()
    best = int(np.argmin(score))
    shrunk = values + penalty[best]
    ridge = vectors @ (projected / shrunk)
    free_part = np.linalg.solve(r, q.T @ (response - wiggles @ ridge))
    covariance = _covariance(q, r, wiggles, vectors / shrunk @ vectors.T)
    return Solution(
        np.concatenate([free_part, ridge]), covariance * variance[best], float(variance[best]), float(score[best])
    )


def _covariance(q: Array, r: Array, wiggles: Array, ridge: Array) -> Array:
    """Posterior covariance of (fixed, wiggles) coefficients for noise variance 1, by block inversion."""
    inverse = np.linalg.inv(r)
    cross = inverse @ (q.T @ wiggles)
    corner = cross @ ridge
    return np.block([[inverse @ inverse.T + corner @ cross.T, -corner], [-corner.T, ridge]])
