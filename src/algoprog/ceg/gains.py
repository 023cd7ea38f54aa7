"""Compute-equivalent gains of every variant over the baseline, with intervals and flags."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.ceg.curves import Curve
from algoprog.ceg.ends import join_budgets
from algoprog.ceg.estimator.closest_row import ClosestRow
from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.estimator.scaling_fit import EffectiveSpeedup, ScalingFit
from algoprog.ceg.gain import Gain
from algoprog.ceg.noise_floor import noise_floors
from algoprog.ceg.pairing import pair_up
from algoprog.ceg.rows import gain_rows, inside_floor
from algoprog.ceg.tuning.choice import tuned
from algoprog.ceg.tuning.rows import with_tuning
from algoprog.runs.record import BASELINE

__all__ = ["ESTIMATORS", "Gain", "compute_gains"]

ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator for estimator in (IsoLoss(), Paper(), ClosestRow(), EffectiveSpeedup(), ScalingFit())
}
"""Every estimator by its name, with the settings it is documented with."""


def compute_gains(
    curves: Sequence[Curve],
    *,
    estimators: Sequence[str | Estimator] = ("iso_loss", "paper"),
    costs: Sequence[str] = ("flops", "tokens", "steps", "seconds"),
    baseline: str = BASELINE,
    target: Target = "final",
    confidence: float = 0.9,
) -> list[Gain]:
    """Gains of every variant of every model, for each estimator and cost axis, the baseline's own rows included.

    Seeds are paired; the CEG is the geometric mean over them. Where no seed of the variant reaches the target there
    is a `bound` row and an `auxiliary` row; where only some do, the row is named after the majority and flagged
    `mixed`, the others standing in it with their auxiliary value. `indistinguishable` marks a gain whose interval
    contains 1 or that lies inside the noise floor of A/A pairs (see `noise_floors`). Where a model was run at several
    learning rates, variant and baseline each stand at their best (see `tuning`).

    Raises:
        ValueError: no baseline, a repeated run, an unknown estimator, or a curve without an asked cost axis.
    """
    chosen = [_estimator(name) for name in estimators]
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: choose a number between 0 and 1, such as 0.9")
    every, curves = curves, join_budgets(tuned(curves, baseline))  # once: fits are kept with each curve
    rows = [
        gain
        for pairs in pair_up(curves, baseline)
        for estimator in chosen
        for cost in costs
        for gain in gain_rows(pairs, baseline, estimator, cost, target, confidence)
    ]
    floors = {
        (estimator.name, cost): noise_floors(curves, cost=cost, baseline=baseline, target=target, estimator=estimator)
        for estimator in chosen
        for cost in costs
    }
    rows = [inside_floor(row, floors[row.estimator, row.cost].get(row.model), confidence) for row in rows]
    return with_tuning(rows, every, curves, baseline)


def _estimator(name: str | Estimator) -> Estimator:
    if not isinstance(name, str):
        return name
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator is called {name!r}: choose among {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]
