"""What the losses measured along a ladder say about those of a larger model: E + A C^-a, and its own misfit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forms import walk
from algoprog.ceg.ladder.gain_law import DECADE, Course
from algoprog.ceg.ladder.mixture import Mixture
from algoprog.ceg.ladder.process import Answer, ask, weights

FLOORS = np.linspace(0.0, 0.95, 39)
"""Shares of the lowest loss that the irreducible loss may be, all equally likely."""

LEVEL_SD = 3.0
EXPONENT, EXPONENT_SD = 0.15, 0.15
"""Of compute, d ln(loss - E) / d ln C: Hoffmann et al. have 0.15 along their compute-optimal line."""

WALKS = ((0.0, 0.5), (0.002, 0.3), (0.006, 0.2))
"""Sd of ln(loss - E) a decade by which a law of compute alone misses, as a random walk, and the odds of each."""

Walks = Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of one variant, models by rising cost: ln costs, means, and what a mean has of a run's variance."""

    log_cost: Array
    loss: Array
    share: Array
    at: float


@dataclass(frozen=True, eq=False)
class LossAhead:
    """Loss of a variant at the larger model, by the law and as it is measured, and its exponent of compute."""

    law: Mixture
    measured: Mixture
    exponent: Mixture


@dataclass(frozen=True, eq=False)
class _Grid:
    """What is not known, every combination: the irreducible loss, the misfit's sd and a run's variance, with odds."""

    floor: Array
    sd: Array
    variance: Array
    odds: Array


def predict_losses(
    arms: Sequence[Losses],
    courses: Sequence[Course],
    slope: Array,
    noise: Array,
    own: float = 1.0,
    irreducible: float | None = None,
    walks: Walks = WALKS,
) -> list[LossAhead]:
    """One law for the baseline, from which every variant lies apart by a gain: the losses of all tell of it together.

    With a = slope / (loss - E), ln(loss - E) of a variant is the baseline's less a times its ln CEG. So a variant whose
    gain hardly moves along the ladder is one more measurement of the law, and one that strays tells little of it.

    Args:
        arms: the baseline's losses first, then those of variants, at the same models.
        courses: how each variant's gain may move.
        slope: nats that the baseline's loss falls by an e-fold of cost, at the models and last at the larger one.
        noise: equally likely variances of a run's loss.
        own: the part of it that runs of one seed do not share.
        irreducible: the loss that no compute removes, where it is known; else one for all, averaged over.
        walks: pairs of sd a decade and odds.
    """
    floors = FLOORS * min(float(losses.loss.min()) for losses in arms) if irreducible is None else [irreducible]
    grids = [_grid(float(floor), noise, walks) for floor in floors]
    found = [_together(arms, courses, slope, own, grid) for grid in grids]
    grid = _Grid(*(np.concatenate(parts) for parts in zip(*map(_fields, grids), strict=True)))
    weight = weights(np.concatenate([answer.log_evidence for answer in found]) + np.log(grid.odds))
    value, law_sd, measured_sd = (
        np.concatenate([getattr(answer, name) for answer in found]) for name in ("value", "law_sd", "measured_sd")
    )
    slopes = [_slope(losses, grid) for losses in arms]
    return [
        LossAhead(
            law=Mixture(weight, value[:, arm], law_sd[:, arm], grid.floor),
            measured=Mixture(weight, value[:, arm], measured_sd[:, arm], grid.floor),
            exponent=Mixture(weight, EXPONENT - slopes[arm].value[:, 0], slopes[arm].law_sd[:, 0]),
        )
        for arm in range(len(arms))
    ]


def _fields(grid: _Grid) -> tuple[Array, Array, Array, Array]:
    return grid.floor, grid.sd, grid.variance, grid.odds


def _grid(floor: float, variances: Array, walks: Walks) -> _Grid:
    rows = [(floor, sd, variance, odds) for sd, odds in walks for variance in variances]
    return _Grid(*np.array(rows).T)


def _together(arms: Sequence[Losses], courses: Sequence[Course], slope: Array, own: float, grid: _Grid) -> Answer:
    """Ln(loss - E) of every arm at the larger model, for one E and many misfits and noises."""
    decades = (np.append(arms[0].log_cost, arms[0].at) - arms[0].log_cost[0]) / DECADE
    steep, models = DECADE * decades, len(slope) - 1
    rest = np.array([_with_ahead(decades, losses.loss - grid.floor[0]) for losses in arms])
    values = np.log(rest[:, :-1]) + EXPONENT * steep[:-1]
    level = float(values.mean())
    form, stray = _apart(courses, slope, rest)
    law = _every(LEVEL_SD**2 + EXPONENT_SD**2 * np.multiply.outer(steep, steep), arms) + form
    misfit = np.multiply.outer(grid.sd**2, _every(walk(decades), arms)) + stray
    noise = np.multiply.outer(grid.variance, _scatter(arms, rest, own))
    order = _measured_first(*values.shape)
    laws, misfits, noises = (
        part[:, order][:, :, order] for part in (np.repeat(law[None], len(grid.sd), 0), misfit, noise)
    )
    last = [models * (arm + 1) - 1 for arm in range(len(arms))]
    answer = ask(values.ravel() - level, laws, misfits, noises, last)
    evidence = answer.log_evidence - np.log(rest[:, :-1]).sum()
    value = answer.value + level - EXPONENT * steep[-1]
    return Answer(evidence, value, answer.law_sd, answer.value_sd, answer.measured_sd)


def _apart(courses: Sequence[Course], slope: Array, rest: Array) -> tuple[Array, Array]:
    """Covariances of what arms are apart from the baseline by in ln(loss - E): of forms, and of what strays."""
    none = np.zeros((len(slope), len(slope)))  # the baseline from itself
    steep = (slope / rest).ravel()
    scale = np.multiply.outer(steep, steep)
    form, stray = ([none, *(getattr(course, name) for course in courses)] for name in ("form", "stray"))
    return block_diag(*form) * scale, block_diag(*stray) * scale


def _scatter(arms: Sequence[Losses], rest: Array, own: float) -> Array:
    """Covariance of ln(loss - E) by noise, for a run's loss of variance 1."""
    share = np.sqrt([losses.share for losses in arms]).ravel() / rest.ravel()
    alike = own * np.eye(len(share)) + (1 - own) * _every(np.eye(rest.shape[1]), arms)
    return np.asarray(alike * np.multiply.outer(share, share))


def _every(part: Array, arms: Sequence[Losses]) -> Array:
    """A covariance between places that is the same between any two arms."""
    return np.tile(part, (len(arms), len(arms)))


def _slope(losses: Losses, grid: _Grid) -> Answer:
    """Slope of ln(loss - E) along a variant's own costs, less the prior mean."""
    decades = (np.append(losses.log_cost, losses.at) - losses.log_cost[0]) / DECADE
    steep = DECADE * decades
    rest = losses.loss - grid.floor[:, None]
    values = np.log(rest) + EXPONENT * steep[:-1]
    law = LEVEL_SD**2 + EXPONENT_SD**2 * np.multiply.outer(steep, steep)
    law[:-1, -1] = law[-1, :-1] = EXPONENT_SD**2 * steep[:-1]
    law[-1, -1] = EXPONENT_SD**2
    misfit = grid.sd[:, None, None] ** 2 * walk(decades)
    misfit[:, :, -1] = misfit[:, -1, :] = 0.0  # a slope has none
    noise = np.zeros_like(misfit)
    places = range(len(losses.loss))
    noise[:, places, places] = grid.variance[:, None] * losses.share[:-1] / rest**2
    law = np.repeat(law[None], len(grid.sd), 0)
    return ask(values - values.mean(1)[:, None], law, misfit, noise)


def _with_ahead(decades: Array, rest: Array) -> Array:
    """Loss - E, last at the larger model by a straight line of its ln, to tell how noise weighs there."""
    x = decades[:-1] - decades[:-1].mean()
    slope = np.log(rest) @ x / (x @ x)
    return np.append(rest, np.exp(np.log(rest).mean() + slope * (decades[-1] - decades[:-1].mean())))


def _measured_first(arms: int, models: int) -> list[int]:
    """Of places in rows of arms, the larger model last in each: the measured ones, then the others."""
    places = np.arange(arms * (models + 1)).reshape(arms, -1)
    return [*places[:, :-1].ravel(), *places[:, -1]]
