"""What the losses measured along a ladder say about the loss of a larger model: E + A C^-a, and its own misfit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forms import walk
from algoprog.ceg.ladder.gain_law import DECADE
from algoprog.ceg.ladder.mixture import Mixture
from algoprog.ceg.ladder.process import Answer, ask, weights

FLOORS = np.linspace(0.0, 0.95, 39)
"""Shares of the lowest loss that the irreducible loss may be, all equally likely."""

LEVEL_SD = 3.0
EXPONENT, EXPONENT_SD = 0.15, 0.15
"""Of compute, d ln(loss - E) / d ln C: Hoffmann et al. have 0.15 along their compute-optimal line."""

WALKS = ((0.0, 0.5), (0.002, 0.3), (0.006, 0.2))
"""Sd of ln(loss - E) a decade by which a law of compute alone misses, as a random walk, and the odds of each."""


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of one variant, models by rising cost: ln costs, means, and what a mean has of a run's variance."""

    log_cost: Array
    loss: Array
    share: Array
    at: float


@dataclass(frozen=True, eq=False)
class LossAhead:
    """Loss of the baseline at the larger model, by the law and as it is measured, and every variant's exponent."""

    law: Mixture
    measured: Mixture
    exponents: tuple[Mixture, ...]


def predict_losses(
    baseline: Losses,
    variants: Sequence[Losses],
    noise: Array,
    irreducible: float | None = None,
    walks: Sequence[tuple[float, float]] = WALKS,
) -> LossAhead:
    """One irreducible loss for all, given or averaged over what it may be by the baseline's losses.

    Args:
        baseline: what the prediction rests on; gains tell how far a variant lies below it.
        variants: those whose exponents are wanted.
        noise: equally likely variances of a run's loss.
        irreducible: the loss that no compute removes, where it is known.
        walks: pairs of sd a decade and odds.
    """
    lowest = min(float(losses.loss.min()) for losses in (baseline, *variants))
    floors = FLOORS * lowest if irreducible is None else np.array([irreducible])
    grid = [(floor, sd, odds, variance) for floor in floors for sd, odds in walks for variance in noise]
    floor, sd, odds, variance = np.array(grid).T
    found, _ = _ask(baseline, floor, sd, variance)
    weight = weights(found.log_evidence + np.log(odds))
    slopes = [_ask(losses, floor, sd, variance)[1] for losses in variants]
    return LossAhead(
        law=Mixture(weight, found.value, found.law_sd, floor),
        measured=Mixture(weight, found.value, found.measured_sd, floor),
        exponents=tuple(Mixture(weight, EXPONENT - slope.value, slope.law_sd) for slope in slopes),
    )


def _ask(losses: Losses, floor: Array, sd: Array, variance: Array) -> tuple[Answer, Answer]:
    """Ln(loss - E) at the larger model, and its slope less the prior mean, for many E, misfits and noises."""
    decades = (np.append(losses.log_cost, losses.at) - losses.log_cost[0]) / DECADE
    steep = DECADE * decades
    rest = losses.loss - floor[:, None]
    values = np.log(rest) + EXPONENT * steep[:-1]
    level = values.mean(1)
    law = np.repeat((LEVEL_SD**2 + EXPONENT_SD**2 * np.multiply.outer(steep, steep))[None], len(floor), axis=0)
    misfit = sd[:, None, None] ** 2 * walk(decades)
    noise = variance[:, None] * losses.share / np.column_stack([rest, _ahead(decades, rest)]) ** 2
    found = ask(values - level[:, None], law, misfit, noise)
    moved = level - EXPONENT * steep[-1]
    evidence = found.log_evidence - np.log(rest).sum(1)
    value = Answer(evidence, found.value + moved, found.law_sd, found.value_sd, found.measured_sd)
    law[:, :-1, -1] = law[:, -1, :-1] = EXPONENT_SD**2 * steep[:-1]
    law[:, -1, -1] = EXPONENT_SD**2
    misfit[:, :, -1] = misfit[:, -1, :] = 0.0  # a slope has none
    return value, ask(values - level[:, None], law, misfit, noise)


def _ahead(decades: Array, rest: Array) -> Array:
    """Loss - E at the larger model by a straight line of its ln, to tell how much noise weighs there."""
    x = decades[:-1] - decades[:-1].mean()
    slope = np.log(rest) @ x / (x @ x)
    return np.asarray(np.exp(np.log(rest).mean(1) + slope * (decades[-1] - decades[:-1].mean())))
