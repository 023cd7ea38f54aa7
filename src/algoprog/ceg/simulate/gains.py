"""Ladders whose gains take a known form from model to model: ends of runs alone, without curves, for simulations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import Estimate
from algoprog.ceg.ladder.gain_law import DECADE
from algoprog.ceg.ladder.ladder import End, Ladder
from algoprog.ceg.simulate.ladder import ALPHA, BETA, DATA, FLOOR, SIZE

Course = Literal["constant", "drifting", "saturating", "turning"]
KINDS: tuple[Course, ...] = ("constant", "drifting", "saturating", "turning")


@dataclass(frozen=True)
class LadderWorld:
    """`fitted` models and a larger one, each three times the parameters of the last, at 20 tokens a parameter.

    `offset` is the sd in nats of a whole run; from model to model ln CEG takes a random step of sd `walk` besides.
    """

    kind: Course = "constant"
    fitted: int = 3
    arms: int = 3
    seeds: int = 3
    offset: float = 0.003
    walk: float = 0.0

    @property
    def sizes(self) -> Array:
        """Parameters of the models, the held-out one last."""
        return np.asarray(1e7 * 3.0 ** np.arange(self.fitted + 1))

    def log_gains(self, rng: np.random.Generator) -> Array:
        """True ln CEG of one arm at every model."""
        rungs = np.arange(self.fitted + 1.0)
        x = rungs * 2 * np.log(3.0) / DECADE
        level, sign = rng.uniform(-0.2, 0.6), rng.choice([-1.0, 1.0])
        steps = self.walk * rng.normal(size=len(x)).cumsum()
        if self.kind == "drifting":
            return np.asarray(level + sign * rng.uniform(0.05, 0.25) * x + steps)
        if self.kind == "saturating":
            return np.asarray(level + sign * rng.uniform(0.1, 0.5) * (1 - np.exp(-rng.uniform(0.6, 2.0) * x)) + steps)
        if self.kind == "turning":
            top = rng.uniform(0.5, self.fitted) * x[1]
            return np.asarray(level + sign * rng.uniform(0.1, 0.3) * (x - x**2 / (2 * top)) + steps)
        return np.asarray(level + steps)

    def ladder(self, rng: np.random.Generator) -> tuple[Ladder, Mapping[str, tuple[float, float]]]:
        """The ends of all runs, the largest model held out, and the true ln CEG and loss of every arm there."""
        n = self.sizes
        gains = {"none": np.zeros(len(n)), **{f"arm{i}": self.log_gains(rng) for i in range(self.arms)}}
        tokens = 20 * n
        losses = {arm: FLOOR + SIZE / n**ALPHA + DATA / (np.exp(gain) * tokens) ** BETA for arm, gain in gains.items()}
        slope = BETA * DATA / tokens**BETA
        off = {arm: self.offset * rng.normal(size=(len(n), self.seeds)) for arm in gains}
        models = [f"m{i}" for i in range(len(n))]
        rungs = {
            arm: {
                model: [
                    self._end(
                        float(np.log(6 * n[i] * tokens[i])),
                        float(losses[arm][i] + off[arm][i, seed]),
                        float(gains[arm][i] + (off["none"][i, seed] - off[arm][i, seed]) / slope[i]),
                        float(slope[i]),
                        float(losses["none"][i] + off["none"][i, seed] - losses[arm][i] - off[arm][i, seed]),
                    )
                    for seed in range(self.seeds)
                ]
                for i, model in enumerate(models)
            }
            for arm in gains
        }
        flags: dict[str, set[str]] = {arm: set() for arm in gains}
        at = float(np.log(6 * n[-1] * tokens[-1]))
        truth = {arm: (float(gains[arm][-1]), float(losses[arm][-1])) for arm in gains if arm != "none"}
        return Ladder(rungs, flags, "none", "flops", tuple(models[:-1]), models[-1], at), truth

    def _end(self, log_cost: float, loss: float, log_gain: float, slope: float, ahead: float) -> End:
        error = 0.3 * self.offset
        estimate = Estimate(loss, log_gain, lambda: float(np.sqrt(2)) * error / slope)
        return End(log_cost, loss, estimate, _NOTHING, _NOTHING, error, slope, ahead)


_NOTHING = Curve("", "", 0, np.ones(2), {"flops": np.array([1.0, 2.0])})
