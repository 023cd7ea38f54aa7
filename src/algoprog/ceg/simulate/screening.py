"""Screening sweeps at the level of ln CEG, for tests and for the benchmark of screening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.ceg.screening.decide import decided, errors_of
from algoprog.ceg.screening.rule import DROPPED, Screen
from algoprog.ceg.seeds.sample import Paired, Sample

PRICES = (1.0, 5.3, 27.3)
"""FLOPs of a default run at nano, micro and mini, with its annealed ends, as multiples of nano's."""


@dataclass(frozen=True)
class Screening:
    """Sweeps whose variants are all screened against one baseline, model by model.

    `log_sd` is the sd of ln CEG of a pair of runs; the baseline's runs have `shared` of its variance, which all
    variants then have in common (one half where it scatters as they do). The first of `log_gains` is that of the first
    variant, and so on, the same at every model. `uneven` is the sd of the ln of the variants' own sds.
    """

    log_gains: tuple[float, ...]
    log_sd: float = 0.05
    shared: float = 0.5
    uneven: float = 0.0
    prices: tuple[float, ...] = PRICES  # of a run at each model

    def draw(self, rng: np.random.Generator, seeds: int) -> Array:
        """Ln CEG of every variant at every model and seed: variants x models x seeds."""
        size = (len(self.log_gains), len(self.prices), seeds)
        own = self.log_sd * np.sqrt(1 - self.shared) * np.exp(self.uneven * rng.normal(size=(size[0], 1, 1)))
        base = self.log_sd * np.sqrt(self.shared) * rng.normal(size=size[1:])
        return np.asarray(np.array(self.log_gains)[:, None, None] + own * rng.normal(size=size) - base)

    def run(self, screen: Screen, rng: np.random.Generator) -> Outcome:
        """One sweep."""
        logs = self.draw(rng, screen.looks[-1])
        levels = screen.levels(len(self.prices))
        alive, spent = list(range(len(self.log_gains))), 0.0
        for model, price in enumerate(self.prices):
            if not alive:
                break
            before = 0
            for seeds, level in zip(screen.looks, levels, strict=True):
                spent += price * (seeds - before) * (1 + len(alive))
                before = seeds
                gone = _gone(logs[:, model, :seeds], alive, screen.gate, level)
                alive = [arm for arm in alive if arm not in gone]
                if not alive:
                    break
        whole = screen.looks[-1] * sum(self.prices) * (1 + len(self.log_gains))
        return Outcome(frozenset(range(len(self.log_gains))) - frozenset(alive), 1 - spent / whole)


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep: the variants that were dropped, and the share of compute that they saved."""

    dropped: frozenset[int]
    saved: float


@dataclass(frozen=True)
class Rates:
    """Over many sweeps: the share in which a variant is dropped, by variant, and the compute saved on average."""

    dropped: tuple[float, ...]
    saved: float


def rates(world: Screening, screen: Screen, repeats: int, seed: int = 0) -> Rates:
    """Simulate sweeps."""
    rng = np.random.default_rng(seed)
    found = [world.run(screen, rng) for _ in range(repeats)]
    arms = range(len(world.log_gains))
    share = tuple(float(np.mean([arm in one.dropped for one in found])) for arm in arms)
    return Rates(share, float(np.mean([one.saved for one in found])))


def _gone(logs: Array, alive: Sequence[int], gate: float, level: float) -> set[int]:
    """The variants that one look drops."""
    samples: dict[str, Sample] = {str(arm): Paired(dict(enumerate(map(float, logs[arm])))) for arm in alive}
    errors = errors_of(samples)
    return {
        int(name)
        for name, sample in samples.items()
        if decided(sample, errors[name], gate=gate, level=level)[0] == DROPPED
    }
