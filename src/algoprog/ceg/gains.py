"""Compute-equivalent gains of every variant over the baseline, with intervals and flags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.closest_row import ClosestRow
from algoprog.ceg.estimator.estimate import Estimate, Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.estimator.scaling_fit import EffectiveSpeedup, ScalingFit
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.intervals import log_interval
from algoprog.ceg.noise_floor import NoiseFloor, noise_floors
from algoprog.ceg.pairing import Pairs, pair_up
from algoprog.ceg.tuning import tuned
from algoprog.runs.record import BASELINE

ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator for estimator in (IsoLoss(), Paper(), ClosestRow(), EffectiveSpeedup(), ScalingFit())
}
"""Every estimator by its name, with the settings it is documented with."""

Kind = Literal["primary", "auxiliary", "bound"]


@dataclass(frozen=True)
class Gain:
    """One row of the gains table: the CEG of a variant over the baseline at equal loss.

    `kind` is `primary` (at the target), `auxiliary` (at the lowest loss that both reached) or `bound` (what an
    unreached target still tells: `ci_high` is None for a lower bound, `ci_low` for an upper one). Numbers that do not
    exist are None.
    """

    model: str
    variant: str
    baseline: str
    estimator: str
    cost: str
    target_loss: float | None  # nats per token, mean over seeds
    kind: Kind
    ceg: float | None
    ci_low: float | None
    ci_high: float | None
    n_seeds: int
    flags: tuple[str, ...]


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
    curves = tuned(curves, baseline)  # once: fits are kept with each curve
    rows = [
        gain
        for pairs in pair_up(curves, baseline)
        for estimator in chosen
        for cost in costs
        for gain in _rows(pairs, baseline, estimator, cost, target, confidence)
    ]
    floors = {
        (estimator.name, cost): noise_floors(curves, cost=cost, baseline=baseline, target=target, estimator=estimator)
        for estimator in chosen
        for cost in costs
    }
    return [_inside(row, floors[row.estimator, row.cost].get(row.model), confidence) for row in rows]


def _inside(row: Gain, floor: NoiseFloor | None, confidence: float) -> Gain:
    """Flag a gain that arms without any gain score too."""
    if floor is None or row.ceg is None or row.kind == "bound" or row.variant == row.baseline:
        return row
    if abs(math.log(row.ceg)) > math.log(floor.factor(row.n_seeds, confidence)):
        return row
    return replace(row, flags=tuple(sorted({*row.flags, "indistinguishable"})))


def _estimator(name: str | Estimator) -> Estimator:
    if not isinstance(name, str):
        return name
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator is called {name!r}: choose among {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]


def _rows(
    pairs: Pairs, baseline: str, estimator: Estimator, cost: str, target: Target, confidence: float
) -> list[Gain]:
    row = Gain(pairs.model, pairs.variant, baseline, estimator.name, cost, None, "primary", None, None, None, 0, ())
    usable, warnings = pairs.long_enough(cost)
    if not usable:
        return [replace(row, flags=warnings)]
    estimates = [estimator(base, arm, cost, target) for base, arm in usable]
    flags = {*warnings, *_flags(estimates, usable, cost)}
    row = replace(row, n_seeds=len(estimates), flags=tuple(sorted(flags)))
    reached = sum(estimate.reached for estimate in estimates)
    if 2 * reached >= len(estimates):
        return [_value(row, "primary", estimates, confidence)]
    auxiliary = _value(row, "auxiliary", estimates, confidence)
    return [auxiliary] if reached else [*_bound(row, estimates), auxiliary]


def _flags(estimates: list[Estimate], pairs: list[tuple[Curve, Curve]], cost: str) -> set[str]:
    flags = {flag for estimate in estimates for flag in estimate.flags}
    if len(estimates) == 1:
        flags.add("single-seed")
    if len({estimate.reached for estimate in estimates}) > 1:
        flags.add("mixed")
    if any(trend_of(curve, cost).rising for pair in pairs for curve in pair):
        flags.add("rising")
    return flags


def _value(row: Gain, kind: Kind, estimates: list[Estimate], confidence: float) -> Gain:
    """Geometric mean over seeds and its interval, at the target or at each seed's auxiliary target."""
    logs = [estimate.log_gain for estimate in estimates]
    if not np.isfinite(logs).all():  # a law that never reaches the loss
        return replace(row, kind=kind)
    interval = log_interval(logs, estimates[0].error, confidence)
    targets = [
        estimate.auxiliary_target if kind == "auxiliary" and estimate.auxiliary_target is not None else estimate.target
        for estimate in estimates
    ]
    low, high = (None, None) if interval is None else map(math.exp, interval)
    flags = {*row.flags}
    if row.variant != row.baseline and low is not None and high is not None and low <= 1 <= high:
        flags.add("indistinguishable")
    return replace(
        row,
        kind=kind,
        target_loss=float(np.mean(targets)),
        ceg=math.exp(float(np.mean(logs))),
        ci_low=low,
        ci_high=high,
        flags=tuple(sorted(flags)),
    )


def _bound(row: Gain, estimates: list[Estimate]) -> list[Gain]:
    """The bound that holds for the geometric mean; empty where some seed has none or they point both ways."""
    bounds = [estimate.log_bound for estimate in estimates if estimate.log_bound is not None]
    sides = {estimate.bound_is_upper for estimate in estimates}
    if len(bounds) < len(estimates) or len(sides) > 1:
        return []
    ceg = math.exp(float(np.mean(bounds)))
    low, high = (None, ceg) if sides == {True} else (ceg, None)
    target = float(np.mean([estimate.target for estimate in estimates]))
    return [replace(row, kind="bound", target_loss=target, ceg=ceg, ci_low=low, ci_high=high)]
