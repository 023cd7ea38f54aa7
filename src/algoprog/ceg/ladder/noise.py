"""How much losses and gains scatter from seed to seed along a ladder, as far as that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.ladder import Ladder

SHARES = (np.arange(6) + 0.5) / 6
UNKNOWN = (1.0, 2.0, 4.0, 8.0)
"""Times the noise of evaluations that seeds may scatter by where no two seeds are there to compare."""

SAME = 1e-7
"""A difference below which two runs are the same run, computed in another order, and the least variance."""

STEEPNESS, STEEPNESS_SD = -0.15, 0.05
"""Of the slope of loss at a model, d ln slope / d ln C: a power of compute as Hoffmann et al. have it."""

SLOPE_ERROR = 0.1
"""Sd of the ln of a slope that is read off curves."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Equally likely variances of one measurement."""

    variances: Array
    degrees: int


def pooled(groups: Sequence[Sequence[float]], least: float) -> Noise:
    """Variances from values that differ by seed alone within each group; `least` is known of evaluations alone.

    Groups of equal values are of runs that compute the same, and have nothing to tell.
    """
    noisy = [group for group in groups if np.ptp(group) > SAME]
    degrees = sum(len(group) - 1 for group in noisy)
    if not degrees:
        return Noise(np.maximum(least, SAME) * np.array(UNKNOWN) ** 2, 0)
    squares = sum(float(np.var(group)) * len(group) for group in noisy)
    return Noise(np.maximum(squares / stats.chi2.ppf(SHARES, degrees), SAME), degrees)


def loss_noise(ladder: Ladder) -> Noise:
    """Of one run's loss, in nats squared."""
    variants = (ladder.baseline, *ladder.variants)
    cells = [ladder.rungs[variant][model] for variant in variants for model in ladder.fitted]
    least = float(np.mean([end.error**2 for ends in cells for end in ends]))
    return pooled([[end.loss for end in ends] for ends in cells], least)


def gain_noise(ladder: Ladder, steep: Array) -> Noise:
    """Of one pair's ln CEG at a model of mean slope."""
    scale = dict(zip(ladder.fitted, relative(steep), strict=False))
    cells = [(ladder.rungs[variant][model], scale[model]) for variant in ladder.variants for model in ladder.fitted]
    if not cells:
        return pooled([], 0.0)
    least = float(np.mean([(end.estimate.log_sd / by) ** 2 for ends, by in cells for end in ends]))
    return pooled([[end.log_gain / by for end in ends] for ends, by in cells], least)


def unshared(ladder: Ladder, steep: Array) -> float:
    """The part of a run's variance that the baseline's run of the same seed does not have too."""
    nats = float(np.exp(np.log(steep[:-1]).mean()))
    paired = float(np.median(gain_noise(ladder, steep).variances)) * nats**2
    return min(1.0, paired / 2 / float(np.median(loss_noise(ladder).variances)))


def slopes(ladder: Ladder) -> Array:
    """Nats that the baseline's loss falls by an e-fold of cost at each model and last at the larger one.

    A straight line of their ln, as far as two or three slopes tell one, towards what is known of other ladders.
    """
    ends = [ladder.rungs[ladder.baseline][model] for model in ladder.fitted]
    x: Array = np.array([np.mean([end.log_cost for end in found]) for found in ends])
    loss: Array = np.array([np.mean([end.loss for end in found]) for found in ends])
    own: Array = np.array([np.mean([end.slope for end in found]) for found in ends])
    between = max(float((loss[0] - loss[-1]) / (x[-1] - x[0])), 1e-3)  # where curves tell no slope
    y = np.log(np.where(own > 0, own, between))
    dx = x - x.mean()
    precision = np.array([dx @ dx / SLOPE_ERROR**2, STEEPNESS_SD**-2])
    trend = float(np.array([dx @ y / SLOPE_ERROR**2, STEEPNESS * STEEPNESS_SD**-2]).sum() / precision.sum())
    return np.asarray(np.exp(y.mean() + trend * (np.append(x, ladder.at) - x.mean())))


def relative(steep: Array) -> Array:
    """How much more a nat of noise moves ln CEG at each model than at one of mean slope."""
    return np.asarray(np.exp(np.log(steep[:-1]).mean()) / steep)
