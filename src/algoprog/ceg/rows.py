"""From the estimates of a variant's seeds to its rows: value, interval, flags."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from algoprog.ceg.estimator.estimate import Estimate
from algoprog.ceg.evidence import Evidence
from algoprog.ceg.gain import Gain, Kind
from algoprog.ceg.seeds.intervals import interval_of
from algoprog.ceg.seeds.sample import Error

BORROWED, SINGLE = "borrowed-sd", "single-seed"


def gain_rows(found: Evidence, error: Error | None, confidence: float) -> list[Gain]:
    """The rows of one variant at one model: its value, with the bound before it where the target was not reached.

    Args:
        found: its estimates.
        error: of their mean, from its own seeds or borrowed; None where no spread is known.
        confidence: of the interval.
    """
    if found.sample is None:
        missed = bool(found.estimates) and not _mostly_reached(found.estimates)
        return [replace(found.row, kind="auxiliary" if missed else "primary")]
    if _mostly_reached(found.estimates):
        return [_value(found, "primary", error, confidence)]
    auxiliary = _value(found, "auxiliary", error, confidence)
    if any(estimate.reached for estimate in found.estimates):
        return [auxiliary]
    return [*_bound(found, error, confidence), auxiliary]


def _mostly_reached(estimates: tuple[Estimate, ...]) -> bool:
    return 2 * sum(estimate.reached for estimate in estimates) >= len(estimates)


def _value(found: Evidence, kind: Kind, error: Error | None, confidence: float) -> Gain:
    """Geometric mean over seeds and its interval, at the target or at each seed's auxiliary target."""
    assert found.sample is not None, "asked for by gain_rows alone"
    row, mean = found.row, found.sample.mean
    targets = [
        estimate.auxiliary_target if kind == "auxiliary" and estimate.auxiliary_target is not None else estimate.target
        for estimate in found.estimates
    ]
    row = replace(row, kind=kind, target_loss=float(np.mean(targets)), ceg=math.exp(mean))
    if row.variant == row.baseline:
        return replace(row, ci_low=row.ceg, ci_high=row.ceg)
    interval = interval_of(mean, error, confidence)
    if interval is None:
        return _flagged(row, SINGLE) if error is None else row
    low, high = map(math.exp, interval)
    row = replace(row, ci_low=low, ci_high=high)
    return _flagged(row, BORROWED) if error is not None and error.borrowed else row


def _bound(found: Evidence, error: Error | None, confidence: float) -> list[Gain]:
    """The bound that holds for the geometric mean, with the confidence of the interval.

    The auxiliary gain lies as far inside the bound as the target was missed by, in ln cost. Where the seeds scatter
    further than that, what the auxiliary gain may be is the bound. None is given where the seeds' spread is not known,
    where some seed has none, or where they point both ways.
    """
    assert found.sample is not None, "asked for by gain_rows alone"
    estimates = found.estimates
    bounds = [estimate.log_bound for estimate in estimates if estimate.log_bound is not None]
    sides = {estimate.bound_is_upper for estimate in estimates}
    interval = interval_of(found.sample.mean, error, confidence)
    if len(bounds) < len(estimates) or len(sides) > 1 or interval is None:
        return []
    upper, mean = sides == {True}, float(np.mean(bounds))
    ceg = math.exp(max(mean, interval[1]) if upper else min(mean, interval[0]))
    target = float(np.mean([estimate.target for estimate in estimates]))
    low, high = (None, ceg) if upper else (ceg, None)
    row = replace(found.row, kind="bound", target_loss=target, ceg=ceg, ci_low=low, ci_high=high)
    return [_flagged(row, BORROWED) if error is not None and error.borrowed else row]


def _flagged(row: Gain, word: str) -> Gain:
    return replace(row, flags=tuple(sorted({*row.flags, word})))
