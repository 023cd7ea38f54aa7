"""From the estimates of a variant's seeds to its rows: value, interval, flags."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate, Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.gain import Gain, Kind
from algoprog.ceg.intervals import log_interval
from algoprog.ceg.noise_floor import NoiseFloor
from algoprog.ceg.pairing import Pairs


def gain_rows(
    pairs: Pairs, baseline: str, estimator: Estimator, cost: str, target: Target, confidence: float
) -> list[Gain]:
    """The rows of one variant at one model: its value, with the bound before it where the target was not reached."""
    row = Gain(pairs.model, pairs.variant, baseline, estimator.name, cost, None, "primary", None, None, None, 0, ())
    usable, warnings = pairs.long_enough(cost)
    if not usable:
        return [replace(row, flags=warnings)]
    if isinstance(estimator, IsoLoss):
        estimator = estimator.over(usable, cost, target)
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


def inside_floor(row: Gain, floor: NoiseFloor | None, confidence: float) -> Gain:
    """Flag a gain that arms without any gain score too."""
    if floor is None or row.ceg is None or row.kind == "bound" or row.variant == row.baseline:
        return row
    if abs(math.log(row.ceg)) > math.log(floor.factor(row.n_seeds, confidence)):
        return row
    return replace(row, flags=tuple(sorted({*row.flags, "indistinguishable"})))
