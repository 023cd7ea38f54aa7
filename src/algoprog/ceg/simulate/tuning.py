"""Tuning simulated: what a search for a learning rate adds to the error of a gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, log2

import numpy as np
from scipy import stats

from algoprog.ceg.curves import Array
from algoprog.ceg.tuning.search import Trial, best_rate, next_rates

TRIALS = (3, 5, 9)
PENALTIES = (0.03, 0.1)
SEED_SDS = (0.005, 0.01, 0.02)
SEEDS = (3, 5)
SLOPE = 0.2
"""Nats that the loss falls by for an e-fold of cost."""

FACTOR = 2.0
"""Between two rates of a grid."""

MIDDLE, ANYWHERE = "middle", "anywhere"
PLACES = (MIDDLE, ANYWHERE)
"""Where the best rate lies: within half a step of the grid's middle, or up to half a step beyond its ends."""

MORE = 3
"""Trials by which a search may go on beyond its grid where the best rate lies anywhere."""


def lowest(trials: Sequence[Trial]) -> float | None:
    """The rate of the lowest loss: what is chosen without a quadratic."""
    return min(trials, key=lambda trial: inf if trial.loss is None else trial.loss).rate


@dataclass(frozen=True)
class Tuned:
    """A variant without a gain and its baseline, each tuned by a search of its own.

    The loss of a run is quadratic in ln rate, `penalty` nats at a factor of two from the best one, plus a seed's noise.
    """

    trials: int = 3
    penalty: float = 0.05
    seed_sd: float = 0.01
    seeds: int = 3  # that are compared
    place: str = MIDDLE
    choose: Callable[[Sequence[Trial]], float | None] = best_rate

    def log_gains(self, rng: np.random.Generator) -> list[float]:
        """Ln CEG of every compared seed; the truth, at the best rate of each, is 0."""
        baseline, variant = self._compared(rng), self._compared(rng)
        return [float(value) for value in (baseline - variant) / SLOPE]

    def _compared(self, rng: np.random.Generator) -> Array:
        """Final losses of the compared seeds at the rate that a search on another seed chose."""
        reach = 0.5 if self.place == MIDDLE else self.trials / 2
        optimum = float(FACTOR ** rng.uniform(-reach, reach))
        rates = [FACTOR ** (index - (self.trials - 1) / 2) for index in range(self.trials)]
        found = [Trial(rate, self._loss(rate, optimum, rng)) for rate in rates]
        if self.place == ANYWHERE:
            while beyond := next_rates(found, FACTOR, self.trials + MORE):
                found += [Trial(rate, self._loss(rate, optimum, rng)) for rate in beyond]
        rate = self.choose(found)
        assert rate is not None, "every trial has a loss"
        return np.array([self._loss(rate, optimum, rng) for _ in range(self.seeds)])

    def _loss(self, rate: float, optimum: float, rng: np.random.Generator) -> float:
        return self.penalty * log2(rate / optimum) ** 2 + self.seed_sd * float(rng.normal())


@dataclass(frozen=True)
class Accuracy:
    """How a gain of 1 was measured: the geometric mean, and the share of 90 % intervals that hold it."""

    ceg: float
    coverage: float


def accuracy(tuned: Tuned, repetitions: int, seed: int = 0) -> Accuracy:
    """Simulate comparisons and score them against the truth."""
    rng = np.random.default_rng(seed)
    logs = np.array([tuned.log_gains(rng) for _ in range(repetitions)])
    means = logs.mean(1)
    half = stats.t.ppf(0.95, tuned.seeds - 1) * logs.std(1, ddof=1) / np.sqrt(tuned.seeds)  # Student's over the seeds
    return Accuracy(float(np.exp(means.mean())), float((np.abs(means) <= half).mean()))


def average(trials: int, place: str, repetitions: int, *, quadratic: bool = True) -> tuple[Accuracy, float]:
    """The mean over penalties, noise and numbers of seeds, and the lowest coverage among them."""
    choose = best_rate if quadratic else lowest
    cells = [
        accuracy(Tuned(trials, penalty, sd, seeds, place, choose), repetitions, seed=index)
        for index, (penalty, sd, seeds) in enumerate(product(PENALTIES, SEED_SDS, SEEDS))
    ]
    ceg = float(np.exp(np.mean([np.log(cell.ceg) for cell in cells])))
    coverage = [cell.coverage for cell in cells]
    return Accuracy(ceg, float(np.mean(coverage))), min(coverage)
