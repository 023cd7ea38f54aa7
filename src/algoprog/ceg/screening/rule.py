"""The rule of a screen, as a design says it and as decisions are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from algoprog.ceg.screening.spending import FUNCTIONS, levels

SPENDING = tuple(FUNCTIONS)
"""How the error may be spent over the looks of a model."""

KEPT, DROPPED, CARRIED = "kept", "dropped", "carried"
"""What a look decides: nothing shows that the gain is below the gate; it is; or there is nothing to decide."""


@dataclass(frozen=True)
class Screen:
    """Which variants are dropped: those whose gain is shown to lie below a gate.

    The error is split evenly over the models, and within a model spent over the looks, so that a variant whose true
    gain is the gate at every model is dropped in at most this share of sweeps, whatever its fate at one look.
    """

    gate: float  # CEG
    looks: tuple[int, ...]  # seeds of a model after which its variants are looked at
    error: float  # share of sweeps in which a variant at the gate may be dropped
    spending: str

    @property
    def log_gate(self) -> float:
        """The gate as ln CEG."""
        return math.log(self.gate)

    def levels(self, models: int) -> tuple[float, ...]:
        """The one-sided p-value at which each look of one of so many models drops a variant."""
        return levels(self.looks, self.error / models, self.spending)


@dataclass(frozen=True)
class Decision:
    """What a look decided about one variant of a model. It is never changed."""

    model: str
    variant: str
    seeds: int  # of the look
    outcome: str  # kept, dropped or carried
    reason: str
    ceg: float | None  # geometric mean over the seeds so far; None where there is none
    high: float | None  # what the gain is below, at the look's level; None where nothing is known
    p: float | None  # one-sided: of a mean so low where the true gain is the gate
    level: float  # that p was held against
