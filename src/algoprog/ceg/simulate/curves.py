"""Synthetic loss curves whose compute-equivalent gain is known, for tests and for the accuracy benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algoprog.ceg.curves import Array, Curve

STEPS = 50_000.0
SHAPES = ("power", "cosine")
GRIDS = ("even", "mixed")


@dataclass(frozen=True)
class World:
    """How losses fall and how they are measured: loss(s) = E + A (g s + s0)^-a, plus a knee, plus noise.

    `slope` is what the loss of the baseline falls by for an e-fold of steps at its end, in nats: at the paper's
    compact scale 0.01 nats are 7.5 % of compute, so 0.13. The knee of `cosine` is an excess of 0.08 nats at the peak
    learning rate that goes with it. Noise of one evaluation is normal with sd `noise`, autocorrelated by `memory`
    from one evaluation to the next; `offset` is the sd of what a whole run is off by.
    """

    shape: str = "power"
    grid: str = "even"
    noise: float = 0.01
    memory: float = 0.0
    offset: float = 0.0
    evaluations: int = 101
    exponent: float = 0.3
    slope: float = 0.13
    final_loss: float = 3.8

    def loss(self, steps: Array, gain: float) -> Array:
        """Noise-free loss of a run that makes `gain` times as much of every step."""
        amplitude = self.slope / self.exponent * STEPS**self.exponent
        floor = self.final_loss - self.slope / self.exponent
        loss = floor + amplitude * (gain * steps + 200.0) ** -self.exponent
        if self.shape == "cosine":
            loss = loss + 0.08 * (1 + np.cos(np.pi * steps / STEPS)) / 2
        return np.asarray(loss)

    def steps(self, evaluations: int) -> Array:
        """Steps of the evaluations, step 0 included; `mixed` is half geometric, half even."""
        if self.grid == "even":
            return np.linspace(0.0, STEPS, evaluations)
        half = evaluations // 2
        both = np.concatenate([np.geomspace(20.0, STEPS, half), np.linspace(0.0, STEPS, evaluations - half)])
        return np.unique(np.round(both))

    def truth(self, gain: float) -> float:
        """True ln CEG at the baseline's last loss or, where the variant does not reach it, the auxiliary one."""
        steps = np.linspace(1.0, STEPS, 200_001)
        base, arm = self.loss(steps, 1.0), self.loss(steps, gain)
        common = max(float(base[-1]), float(arm[-1]))
        crossings = [float(np.interp(-common, -loss, steps)) for loss in (base, arm)]
        return float(np.log(crossings[0] / crossings[1]))

    def curve(self, rng: np.random.Generator, gain: float, variant: str, seed: int = 0) -> Curve:
        """One noisy run; the variant has four fifths of the baseline's evaluations on the mixed grid."""
        fewer = self.grid == "mixed" and variant != "none"
        steps = self.steps(self.evaluations * 4 // 5 if fewer else self.evaluations)
        noise = self.noise * _autocorrelated(rng, len(steps), self.memory) + self.offset * rng.normal()
        costs = {"steps": steps, "tokens": steps * 262_144.0, "flops": steps * 5e13}
        return Curve(variant, "synthetic", seed, self.loss(steps, gain) + noise, costs)

    def quiet(self) -> World:
        """The same world without noise."""
        return replace(self, noise=0.0, offset=0.0)


def _autocorrelated(rng: np.random.Generator, count: int, memory: float) -> Array:
    """Normal noise of variance 1 and lag-one correlation `memory`."""
    noise = rng.normal(size=count)
    for index in range(1, count):
        noise[index] = memory * noise[index - 1] + np.sqrt(1 - memory**2) * noise[index]
    return noise
