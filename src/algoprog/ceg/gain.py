"""One row of the gains table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["primary", "auxiliary", "bound"]


@dataclass(frozen=True)
class Gain:
    """One row of the gains table: the CEG of a variant over the baseline at equal loss.

    `kind` is `primary` (at the target), `auxiliary` (at the lowest loss that both reached) or `bound` (what an
    unreached target still tells: `ci_high` is None for a lower bound, `ci_low` for an upper one). Numbers that do not
    exist are None. `finding` marks a gain that luck does not explain, the number of variants considered (see
    `algoprog.ceg.seeds`).
    """

    model: str
    variant: str
    baseline: str
    estimator: str
    cost: str
    target_loss: float | None  # in `metric`, mean over seeds
    kind: Kind
    ceg: float | None
    ci_low: float | None
    ci_high: float | None
    n_seeds: int
    flags: tuple[str, ...]
    trials: int | None = None  # settings tried for the variant; None where none were
    search_flops: float | None = None  # what its trials cost beside the runs that are compared
    untuned_ceg: float | None = None  # of both at the baseline's learning rate, read off trials of a single seed
    finding: bool = False
    p_value: float | None = None  # of the mean ln CEG, before the number of variants is considered
    n_diverged: int = 0  # seeds that the variant lost to divergence, beside n_seeds
    slope_correction: float | None = None  # factor of the CEG from the slope between ends that just miss each other
    settling_budget: float | None = None  # of the baseline, times its own, to end at the variant's loss; if no end does
    metric: str = "nats"  # of the losses: nats (per token) or bits_per_byte
