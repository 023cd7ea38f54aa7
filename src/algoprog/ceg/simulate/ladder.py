"""Synthetic ladders of models whose gains are known, for tests and for the benchmark of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array, Curve

FLOOR, SIZE, DATA, ALPHA, BETA = 1.69, 406.4, 410.7, 0.34, 0.28
"""Hoffmann et al. 2022, approach 3."""


@dataclass(frozen=True)
class SimulatedVariant:
    """A variant that makes `data` times as much of every token and `size` times as much of every parameter.

    The gain on tokens grows as their power `drift`, from the end of the smallest model's run on. With `size` above 1
    the gain depends on the scale by itself.
    """

    data: float = 1.0
    size: float = 1.0
    drift: float = 0.0


ARMS: Mapping[str, SimulatedVariant] = {
    "none": SimulatedVariant(),
    "data": SimulatedVariant(data=1.6),
    "small": SimulatedVariant(data=1.05),
    "worse": SimulatedVariant(data=0.8),
    "size": SimulatedVariant(size=1.5),
    "grows": SimulatedVariant(data=1.2, drift=0.12),
    "shrinks": SimulatedVariant(data=1.5, drift=-0.1),
}


@dataclass(frozen=True)
class SimulatedLadder:
    """Models from ten million parameters up, each a factor of parameters above the last, at 20 tokens a parameter.

    Runs are annealed at `branches` budgets a factor 1.5 apart, or with `branches` 0 logged along the way. Noise of one
    evaluation is normal with sd `noise`, a whole run is off by `offset`. From model to model the ln of every gain takes
    a random step of sd `walk` besides.
    """

    models: int = 3
    factor: float = 3.0
    seeds: int = 3
    noise: float = 0.005
    offset: float = 0.003
    branches: int = 0
    walk: float = 0.0

    def steps(self, rng: np.random.Generator) -> dict[str, Array]:
        """What every arm's ln gain on tokens is off by at each model; to be drawn once a ladder."""
        zero = np.zeros(self.models)
        return {name: zero if name == "none" else self.walk * rng.normal(size=self.models).cumsum() for name in ARMS}

    def sizes(self, model: int) -> tuple[float, float]:
        """Parameters and tokens of a model."""
        n = 1e7 * self.factor**model
        return n, 20 * n

    def loss(self, arm: SimulatedVariant, model: int, tokens: Array | float, step: float = 0.0) -> Array:
        """True loss of an arm after so many tokens."""
        n, _ = self.sizes(model)
        first = self.sizes(0)[1]
        seen = arm.data * np.exp(step) * tokens * (np.asarray(tokens) / first) ** arm.drift
        return np.asarray(FLOOR + SIZE / (arm.size * n) ** ALPHA + DATA / seen**BETA)

    def log_gain(self, arm: SimulatedVariant, model: int, step: float = 0.0) -> float:
        """True ln CEG at the end of the baseline's run of a model."""
        n, d = self.sizes(model)
        rest = float(self.loss(SimulatedVariant(), model, d)) - FLOOR - SIZE / (arm.size * n) ** ALPHA
        seen = (DATA / rest) ** (1 / BETA)
        first = self.sizes(0)[1]
        tokens = (seen * first**arm.drift / (arm.data * np.exp(step))) ** (1 / (1 + arm.drift))
        return float(np.log(d / tokens))

    def curves(self, rng: np.random.Generator, steps: Mapping[str, Array]) -> list[Curve]:
        """All runs of all arms; `steps` as drawn by the method of that name."""
        return [
            self._curve(rng, name, model, seed, float(steps[name][model]))
            for model in range(self.models)
            for name in ARMS
            for seed in range(self.seeds)
        ]

    def _curve(self, rng: np.random.Generator, name: str, model: int, seed: int, step: float) -> Curve:
        n, d = self.sizes(model)
        budgets = 1.5 ** -np.arange(self.branches, dtype=float)[::-1]
        share: Array = budgets if self.branches else np.linspace(0.02, 1.0, 50)
        loss = self.loss(ARMS[name], model, share * d, step)
        loss = loss + self.noise * rng.normal(size=len(share)) + self.offset * rng.normal()
        costs = {"tokens": share * d, "flops": 6 * n * share * d}
        ends = np.ones(len(share), bool) if self.branches else None
        return Curve(name, f"m{model}", seed, loss, costs, n_params=int(n), ends=ends)
