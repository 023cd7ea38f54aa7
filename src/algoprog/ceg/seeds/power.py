"""How many seeds a gain needs, and the smallest gain that so many seeds resolve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from algoprog.ceg.gain import Gain

POWER, LEVEL = 0.8, 0.1
"""A gain is resolved when a two-sided test at this level finds it with this probability."""

SLOPE = 0.13
"""Nats that a loss falls by for each e-fold of cost at a run's end, where nobody tells: as in the paper, compact."""

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Spread:
    """Sd of ln CEG of one variant's run over one of the baseline, and the degrees of freedom that it is known by."""

    log_sd: float
    degrees: float

    @classmethod
    def stated(cls, sd: float, slope: float = SLOPE) -> Spread:
        """From the sd of a run's last loss over seeds and the slope of the loss in ln cost, both in nats.

        Two runs differ by sqrt(2) of it, which is too much where seeds are paired and move together.

        Raises:
            ValueError: either is not above 0.
        """
        for name, value in (("sd", sd), ("slope", slope)):
            if not 0 < value < math.inf:
                raise ValueError(f"--{name} is {value}: give it in nats, above 0")
        return cls(math.sqrt(2) * sd / slope, math.inf)

    def smallest_gain(self, seeds: int) -> float:
        """The smallest gain that so many seeds a variant resolve."""
        return math.exp(_shift(self.degrees) * self.log_sd / math.sqrt(seeds))

    def seeds_for(self, gain: float) -> int | None:
        """Seeds a variant that resolve a gain, or a loss of the same factor; None where 1,000 would not.

        Raises:
            ValueError: the gain is 1 or no factor.
        """
        if not 0 < gain < math.inf or gain == 1:
            raise ValueError(f"--gain is {gain}: give a factor other than 1, such as 1.1")
        needed = (_shift(self.degrees) * self.log_sd / abs(math.log(gain))) ** 2
        seeds = max(1, math.ceil(needed - 1e-9))
        return seeds if seeds <= MOST_SEEDS else None


def _shift(degrees: float) -> float:
    """How many standard errors a gain has to lie from none to be found so often; noncentral t."""
    if math.isinf(degrees):
        return float(special.ndtri(1 - LEVEL / 2) + special.ndtri(POWER))
    critical = float(special.stdtrit(degrees, 1 - LEVEL / 2))

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, degrees, shift)) - POWER

    return float(optimize.brentq(missing, 0.0, 4 * critical + 4))


def spreads(gains: Sequence[Gain], confidence: float = 0.9) -> dict[str, Spread]:
    """The spread that each model's variants show in the intervals of their own seeds, pooled; unpaired ones aside."""
    parts: dict[str, list[tuple[float, int]]] = {}
    for gain in gains:
        if gain.kind == "bound" or gain.variant == gain.baseline or gain.n_seeds < 2:
            continue
        if gain.ci_low is None or gain.ci_high is None or {"unpaired", "borrowed-sd"} & set(gain.flags):
            continue
        half = math.log(gain.ci_high / gain.ci_low) / 2
        sd = half * math.sqrt(gain.n_seeds) / float(special.stdtrit(gain.n_seeds - 1, (1 + confidence) / 2))
        parts.setdefault(gain.model, []).append((sd, gain.n_seeds - 1))
    return {model: _pooled(found) for model, found in parts.items()}


def _pooled(parts: Sequence[tuple[float, int]]) -> Spread:
    sds, degrees = np.array(parts).T
    return Spread(float(np.sqrt((sds**2 * degrees).sum() / degrees.sum())), float(degrees.sum()))


def sentence(spread: Spread, seeds: int, gain: float | None = None) -> str:
    """What so many seeds resolve, and how many a gain needs."""
    smallest = spread.smallest_gain(seeds)
    text = (
        f"{seeds} seed{'s' if seeds > 1 else ''} a variant resolve{'s' if seeds == 1 else ''} a gain of {smallest:.3f}"
        f" (or {1 / smallest:.3f}) with {POWER:.0%} power at a two-sided {LEVEL:.0%}"
    )
    if gain is None:
        return text + "."
    needed = spread.seeds_for(gain)
    many = f"more than {MOST_SEEDS:,} seeds" if needed is None else f"{needed} seed{'s' if needed > 1 else ''}"
    return f"{text}; a gain of {gain:g} needs {many}."
