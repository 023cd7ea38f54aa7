"""What values measured along a ladder say about a larger model, under one covariance or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array

TINY = 1e-18


@dataclass(frozen=True, eq=False)
class Answer:
    """For each of many covariances: ln evidence, and the values at the places asked for with three standard errors.

    `law_sd` is of what the law and its misfit so far say there; `value_sd` has what the misfit may grow by until then,
    `measured_sd` the noise of measuring it as well. All but the evidence are of shape (covariances, places asked for).
    """

    log_evidence: Array
    value: Array
    law_sd: Array
    value_sd: Array
    measured_sd: Array


def ask(values: Array, law: Array, misfit: Array, noise: Array, before: Sequence[int] = (-1,)) -> Answer:
    """Normal values at n places condition those at k others, which come last.

    Args:
        values: of shape (n,) or (covariances, n), with mean zero before anything is known.
        law: covariance of the law at all places, of shape (covariances, n + k, n + k).
        misfit: of what no law follows, a random walk, of the same shape.
        noise: of the measurements, of the same shape.
        before: of each place asked for, the measured place that it lies beyond.

    Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", equations 2.25, 2.26 and 2.30.
    """
    count = values.shape[-1]
    both = law + misfit
    own, strayed, scatter = (np.diagonal(part, axis1=1, axis2=2) for part in (both, misfit, noise))
    asked = range(count, law.shape[-1])
    fresh = strayed[:, count:] - misfit[:, :count, :][:, list(before), asked]
    known = both[:, :count, :count] + noise[:, :count, :count]
    values = np.broadcast_to(values, (len(law), count))
    towards = np.concatenate([values[:, :, None], both[:, :count, count:]], axis=2)
    solved = np.linalg.solve(known, towards)
    evidence = -(np.einsum("ki,ki->k", values, solved[:, :, 0]) + np.linalg.slogdet(known)[1])
    variance = own[:, count:] - np.einsum("kiv,kiv->kv", towards[:, :, 1:], solved[:, :, 1:])
    sds = [np.sqrt(np.maximum(found, TINY)) for found in (variance - fresh, variance, variance + scatter[:, count:])]
    value = np.einsum("ki,kiv->kv", values, solved[:, :, 1:])
    return Answer((evidence - count * np.log(2 * np.pi)) / 2, value, sds[0], sds[1], sds[2])


def weights(log_evidence: Array) -> Array:
    """Shares that sum to 1 in proportion to the evidence."""
    found = np.exp(log_evidence - log_evidence.max())
    return np.asarray(found / found.sum())
