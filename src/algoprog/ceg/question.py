"""What is asked of the runs that are compared."""

from __future__ import annotations

from dataclasses import dataclass

from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.runs.record import BASELINE


@dataclass(frozen=True)
class Question:
    """One estimator at one cost axis and target; `seed_sd` is the sd of a run's last loss over seeds, where known."""

    estimator: Estimator
    cost: str
    target: Target = "final"
    baseline: str = BASELINE
    confidence: float = 0.9
    seed_sd: float | None = None  # nats
