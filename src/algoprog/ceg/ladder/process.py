"""What values measured along a ladder say about a larger model, under one covariance or many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array

TINY = 1e-18


@dataclass(frozen=True, eq=False)
class Answer:
    """For each of many covariances: ln evidence, and the value at the place asked for with three standard errors.

    `law_sd` is of what the law and its misfit so far say there; `value_sd` has what the misfit may grow by until then,
    `measured_sd` the noise of measuring it as well.
    """

    log_evidence: Array
    value: Array
    law_sd: Array
    value_sd: Array
    measured_sd: Array


def ask(values: Array, law: Array, misfit: Array, noise: Array) -> Answer:
    """Normal values at n places condition those at a last one.

    Args:
        values: of shape (n,) or (covariances, n), with mean zero before anything is known.
        law: covariance of the law at all places, the one asked for last, of shape (covariances, n + 1, n + 1).
        misfit: of what no law follows, likewise; a random walk.
        noise: variances of the measurements, of shape (covariances, n + 1).

    Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", equations 2.25, 2.26 and 2.30.
    """
    count = values.shape[-1]
    both = law + misfit
    fresh = misfit[:, -1, -1] - misfit[:, -2, -1]
    known = both[:, :count, :count] + noise[:, :count, None] * np.eye(count)
    values = np.broadcast_to(values, (len(law), count))
    towards = np.stack([values, both[:, :count, -1]], axis=2)
    solved = np.linalg.solve(known, towards)
    product = np.einsum("kiv,kiw->kvw", towards, solved)
    evidence = -(product[:, 0, 0] + np.linalg.slogdet(known)[1] + count * np.log(2 * np.pi)) / 2
    variance = both[:, -1, -1] - product[:, 1, 1]
    sds = [np.sqrt(np.maximum(found, TINY)) for found in (variance - fresh, variance, variance + noise[:, -1])]
    return Answer(evidence, product[:, 0, 1], sds[0], sds[1], sds[2])


def weights(log_evidence: Array) -> Array:
    """Shares that sum to 1 in proportion to the evidence."""
    found = np.exp(log_evidence - log_evidence.max())
    return np.asarray(found / found.sum())
