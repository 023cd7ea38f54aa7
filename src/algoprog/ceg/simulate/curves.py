"""Synthetic loss curves whose compute-equivalent gain is known, for tests and for the accuracy benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from algoprog.ceg.curves import END_SHARE, Array, Curve, Mask

STEPS = 50_000.0
GRIDS = ("even", "mixed")
RATES: Mapping[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "cosine": lambda share: (1 + np.cos(np.pi * share)) / 2,
    "linear": lambda share: 1 - share,
    "late": lambda share: np.minimum(1.0, (1 - share) / LATE),
}
"""Learning rate over its peak by the share of a run's schedule that is spent; `late` decays over the last fifth."""

LATE = 0.2
RATIO = 1.5
"""A budget over the next smaller one, where a run has several annealed ends."""


@dataclass(frozen=True)
class World:
    """How losses fall and how they are measured: loss(s) = E + A (g s + s0)^-a + excess x rate, plus noise.

    `slope` is what the loss of the baseline falls by for an e-fold of steps at its end, in nats: at the paper's
    compact scale 0.01 nats are 7.5 % of compute, so 0.13. `excess` is what annealing takes away: it goes with the
    learning rate of `schedule`, from all of it at the peak to none at the end. A run is logged along the way or, with
    `branches`, at that many annealed ends; `told` runs say which of their points are ends. Noise of one
    evaluation is normal with sd `noise`, autocorrelated by `memory` from one evaluation to the next; `offset` is the sd
    of what a whole run is off by.
    """

    schedule: str = "constant"
    excess: float = 0.08
    branches: int = 0
    told: bool = False
    grid: str = "even"
    noise: float = 0.01
    memory: float = 0.0
    offset: float = 0.0
    evaluations: int = 101
    exponent: float = 0.3
    slope: float = 0.13
    final_loss: float = 3.8

    def annealed(self, steps: Array, gain: float) -> Array:
        """Noise-free loss at annealed ends of an algorithm that makes `gain` times as much of every step."""
        amplitude = self.slope / self.exponent * STEPS**self.exponent
        floor = self.final_loss - self.slope / self.exponent
        return np.asarray(floor + amplitude * (gain * steps + 200.0) ** -self.exponent)

    def loss(self, steps: Array, gain: float, budget: float = 1.0) -> Array:
        """Noise-free loss along a run whose schedule ends at `budget` times the usual steps."""
        excess = 0.0 if self.schedule == "constant" else self.excess
        return self.annealed(steps, gain) + excess * RATES[self.schedule](steps / (budget * STEPS))

    def steps(self, evaluations: int) -> Array:
        """Steps of the evaluations, step 0 included; `mixed` is half geometric, half even."""
        if self.branches:
            return np.round(STEPS * RATIO ** -np.arange(self.branches, dtype=float)[::-1])
        if self.grid == "even":
            return np.linspace(0.0, STEPS, evaluations)
        half = evaluations // 2
        both = np.concatenate([np.geomspace(20.0, STEPS, half), np.linspace(0.0, STEPS, evaluations - half)])
        return np.unique(np.round(both))

    def truth(self, gain: float) -> float:
        """True ln CEG, that of annealed ends at equal loss."""
        return float(np.log(gain))

    def curve(self, rng: np.random.Generator, gain: float, variant: str, seed: int = 0, budget: float = 1.0) -> Curve:
        """One noisy run; the variant has four fifths of the baseline's evaluations on the mixed grid."""
        fewer = self.grid == "mixed" and variant != "none"
        steps = budget * self.steps(self.evaluations * 4 // 5 if fewer else self.evaluations)
        loss = self.annealed(steps, gain) if self.branches else self.loss(steps, gain, budget)
        noise = self.noise * _autocorrelated(rng, len(steps), self.memory) + self.offset * rng.normal()
        costs = {"steps": steps, "tokens": steps * 262_144.0, "flops": steps * 5e13}
        return Curve(variant, "synthetic", seed, loss + noise, costs, ends=self._ends(steps))

    def quiet(self) -> World:
        """This world without noise."""
        return replace(self, noise=0.0, offset=0.0)

    def _ends(self, steps: Array) -> Mask | None:
        if not (self.branches or self.told):
            return None
        return np.asarray(steps >= (END_SHARE * steps[-1] if self.schedule != "constant" and not self.branches else 0))


def _autocorrelated(rng: np.random.Generator, count: int, memory: float) -> Array:
    """Normal noise of variance 1 and lag-one correlation `memory`."""
    noise = rng.normal(size=count)
    for index in range(1, count):
        noise[index] = memory * noise[index - 1] + np.sqrt(1 - memory**2) * noise[index]
    return noise
