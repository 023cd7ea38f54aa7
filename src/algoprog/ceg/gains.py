"""Compute-equivalent gains of every variant over the baseline, with intervals and flags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from algoprog.ceg.cost import COSTS, RECORDED
from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.estimator.known import ESTIMATORS, estimator_of
from algoprog.ceg.gain import Gain
from algoprog.ceg.judge import judge
from algoprog.ceg.noise_floor import aa_variants
from algoprog.ceg.pairs.pairing import comparable, pair_up
from algoprog.ceg.question import Question
from algoprog.ceg.tuning.rows import with_tuning
from algoprog.runs.record import BASELINE

__all__ = ["ESTIMATORS", "Gain", "compute_gains"]


def compute_gains(
    curves: Sequence[Curve],
    *,
    estimators: Sequence[str | Estimator] = ("iso_loss", "paper"),
    costs: Sequence[str] | None = None,
    baseline: str = BASELINE,
    target: Target = "final",
    confidence: float = 0.9,
    seed_sd: float | None = None,
) -> list[Gain]:
    """Gains of every variant of every model, for each estimator and cost axis, the baseline's own rows included.

    Unless `costs` are named these are the axes that are recorded, less those that the runs cannot share.

    Seeds are paired; the CEG is the geometric mean over them. Where no seed of the variant reaches the target there
    is a `bound` row and an `auxiliary` row; where only some do, the row is named after the majority and flagged
    `mixed`, the others standing in it with their auxiliary value. One seed has an interval only where a spread is
    known: `seed_sd`, the sd in nats of a run's last loss over seeds, or that of other seeds of the model.

    `finding` marks the gains of a model and cost that Benjamini and Hochberg's procedure tells from luck and that
    exceed the noise floor of A/A pairs (see `noise_floors`); of the others, `indistinguishable` marks those whose
    interval contains 1 or that lie inside that floor, and `maybe-chance` those whose interval does not. Where a model
    was run at several learning rates, variant and baseline each stand at their best (see `tuning`).

    Raises:
        ValueError: no baseline, a repeated run, an unknown estimator, or a curve without an asked cost axis.
    """
    if seed_sd is not None and not 0 < seed_sd < math.inf:
        raise ValueError(f"the sd of a seed is {seed_sd}: give it in nats, above 0, such as 0.01")
    chosen = [_estimator(name, seed_sd) for name in estimators]
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: choose a number between 0 and 1, such as 0.9")
    every, curves = curves, comparable(curves, baseline)  # once: fits are kept with each curve
    costs = [axis for axis in RECORDED if _shared(axis, every, curves)] if costs is None else costs
    groups, aa = pair_up(curves, baseline), aa_variants(curves, baseline)
    ladder = {group.model: [base for base, _ in group.pairs] for group in groups if group.variant == baseline}
    rows = {
        (estimator.label, cost): judge(
            groups,
            Question(estimator.on_ladder(ladder, cost), cost, target, baseline, confidence, seed_sd),
            () if COSTS[cost].measured else aa,  # kernel-only arms may truly differ there
        )
        for estimator in chosen
        for cost in costs
    }
    metric = every[0].metric
    found = [
        replace(row, metric=metric) for index in range(len(groups)) for judged in rows.values() for row in judged[index]
    ]
    return with_tuning(found, every, curves, baseline)


def _shared(axis: str, every: Sequence[Curve], curves: Sequence[Curve]) -> bool:
    """Whether all runs can be compared on an axis; what was measured of some is not known."""
    known = not COSTS[axis].measured or all(axis in curve.costs for curve in curves)
    return known and not any(axis in curve.faults for curve in every)


def _estimator(name: str | Estimator, seed_sd: float | None) -> Estimator:
    found = estimator_of(name) if isinstance(name, str) else name
    return replace(found, seed_sd=seed_sd) if isinstance(found, IsoLoss) and seed_sd is not None else found
