"""Forecasts from compute alone: one law of loss for all variants, and gains that drift along the ladder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from former_drift import Drift, drift
from former_shared_law import Ends, SharedLaw, fit_shared, replicates
from scipy import stats

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forecast import Span, quantiles
from algoprog.ceg.ladder.ladder import End, Ladder

REPLICATES = 400


@dataclass(frozen=True)
class Forecast:
    """Values and intervals of ln CEG and loss."""

    exponent: float
    exponent_span: Span
    loss: float
    loss_span: Span
    log_gain: float
    log_gain_span: Span
    flags: tuple[str, ...] = ()


SAME = 1e-7
"""An ln CEG below which two runs are the same run, computed in another order; as a variance, none at all."""


def forecast(ladder: Ladder, confidence: float) -> dict[str, Forecast]:
    """The forecast of every variant that was run at all fitted models."""
    noise = _noise(ladder)
    drifts = {variant: _drift(ladder, variant, noise) for variant in ladder.variants}
    steep = [1.0, *(1 + found.slope for found in drifts.values())]
    ends = _stack([ladder.ends(variant) for variant in (ladder.baseline, *drifts)], steep)
    laws = [law := fit_shared(ends), *replicates(law, ends, REPLICATES)]
    centre = _centre(ladder)
    places = {variant: ladder.at - centre + _log_price(ladder, variant) for variant in drifts}
    found = {}
    for index, (variant, moved) in enumerate(drifts.items(), start=1):
        degrees = len(ladder.ends(variant)) - len(ladder.fitted)
        half = _quantile(confidence, degrees) * moved.log_sd
        span = (moved.log_gain - half, moved.log_gain + half) if np.isfinite(half) else (None, None)
        found[variant] = _forecast(laws, index, places[variant], moved, span, confidence, ends.has_floor)
    return found


def _forecast(
    laws: list[SharedLaw], arm: int, x: float, moved: Drift, span: Span, confidence: float, has_floor: bool
) -> Forecast:
    """Losses from the law and its replicates; the exponent's interval has the error of the drift as well."""
    losses = [float(law.loss(arm, (1 + moved.slope) * x)) for law in laws]
    slopes = moved.slope + moved.slope_sd * np.random.default_rng(1).normal(size=len(laws))
    exponents = [law.exponent * (1 + float(slope)) for law, slope in zip(laws[1:], slopes, strict=False)]
    return Forecast(
        exponent=laws[0].exponent * (1 + moved.slope),
        exponent_span=quantiles(exponents, confidence),
        loss=losses[0],
        loss_span=quantiles(losses[1:], confidence),
        log_gain=moved.log_gain,
        log_gain_span=span,
        flags=() if has_floor else ("no-floor",),
    )


def _drift(ladder: Ladder, variant: str, noise: float | None) -> Drift:
    """The drift of a variant's mean ln CEG a model; with no seeds to compare, evaluation noise is all that is known."""
    models = [ladder.rungs[variant][model] for model in ladder.fitted]
    base = [ladder.rungs[ladder.baseline][model] for model in ladder.fitted]
    x: Array = np.array([np.mean([end.log_cost for end in ends]) for ends in base])
    y: Array = np.array([np.mean([end.log_gain for end in ends]) for ends in models])
    if noise is None:
        noise = float(np.mean([end.estimate.log_sd**2 for ends in models for end in ends]))
    variance: Array = np.array([noise / len(ends) for ends in models])
    return drift(x, y, variance, ladder.at)


def _log_price(ladder: Ladder, variant: str) -> float:
    """Ln of what a variant's run costs over what the baseline's does, at the largest fitted model."""
    model = ladder.fitted[-1]
    own, base = (np.mean([end.log_cost for end in ladder.rungs[name][model]]) for name in (variant, ladder.baseline))
    return float(own - base)


def _noise(ladder: Ladder) -> float | None:
    """Variance of one pair's ln CEG within a model, pooled over variants; None with one seed.

    Variants that compute bit for bit what the baseline does are left out: they have no noise to tell of.
    """
    groups = [
        [end.log_gain for end in ladder.rungs[variant][model]] for variant in ladder.variants for model in ladder.fitted
    ]
    noisy = [group for group in groups if np.abs(group).max() > SAME] or groups
    degrees = sum(len(group) - 1 for group in noisy)
    if not degrees:
        return None
    return max(SAME, sum(float(np.var(group)) * len(group) for group in noisy) / degrees)


def _quantile(confidence: float, degrees: int) -> float:
    tail = (1 + confidence) / 2
    return float(stats.t.ppf(tail, degrees) if degrees > 0 else stats.norm.ppf(tail))


def _centre(ladder: Ladder) -> float:
    return float(np.mean([end.log_cost for end in ladder.ends(ladder.baseline)]))


def _stack(arms: list[list[End]], steep: list[float]) -> Ends:
    """End points of all variants; costs are centred on the baseline's."""
    centre = float(np.mean([end.log_cost for end in arms[0]]))
    rows = [
        (index, factor * (end.log_cost - centre), end.loss)
        for index, (ends, factor) in enumerate(zip(arms, steep, strict=True))
        for end in ends
    ]
    arm, x, loss = np.array(rows).T
    return Ends(arm, x, loss)
