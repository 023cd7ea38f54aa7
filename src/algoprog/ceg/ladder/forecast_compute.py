"""Forecasts from compute alone: a law of the baseline's loss, and gains of any form along the ladder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forecast import Forecast
from algoprog.ceg.ladder.forms import FORMS, TURNING, Form
from algoprog.ceg.ladder.forms import WALKS as STRAYS
from algoprog.ceg.ladder.gain_law import SAME, GainAhead, LadderGains, predict_gains
from algoprog.ceg.ladder.ladder import Ladder
from algoprog.ceg.ladder.loss_law import WALKS, LossAhead, Losses, Walks, predict_losses
from algoprog.ceg.ladder.noise import gain_noise, loss_noise, relative, slopes, unshared

TURNS = 0.25
"""Probability of the turning form above which a gain is flagged."""

TO_TELL = 3
"""Fitted models below which neither the irreducible loss nor the form of a gain can be told."""


def forecast_compute(ladder: Ladder, confidence: float, irreducible: float | None = None) -> dict[str, Forecast]:
    """The forecast of every variant that was run at all fitted models.

    A variant's loss is the baseline's less what its gain is worth there: the paired gains know far better how a variant
    bends than its own losses do. All losses tell of the baseline's law, each as far as its gain is known to keep still.

    Raises:
        ValueError: a given irreducible loss that a run went below.
    """
    variants = (ladder.baseline, *ladder.variants)
    lowest = min(end.loss for variant in variants for end in ladder.ends(variant))
    if irreducible is not None and not 0 <= irreducible < lowest:
        raise ValueError(f"an irreducible loss of {irreducible:g} does not lie between 0 and the lowest, {lowest:.4g}")
    steep = slopes(ladder)
    noise = gain_noise(ladder, steep).variances
    gained = [gains_of(ladder, variant, steep) for variant in ladder.variants]
    gains = predict_gains(gained, ladder.at, noise)
    losses = losses_ahead(ladder, steep, irreducible)
    flags = _flags(ladder, irreducible)
    return {
        variant: _forecast(gain, losses[variant], confidence, flags)
        for variant, gain in zip(ladder.variants, gains, strict=True)
    }


def losses_ahead(
    ladder: Ladder,
    steep: Array,
    irreducible: float | None = None,
    forms: Sequence[Form] = FORMS,
    strays: Walks = STRAYS,
    walks: Walks = WALKS,
) -> dict[str, LossAhead]:
    """Losses of every variant at the larger model; one that computes what the baseline does has the baseline's."""
    noise = gain_noise(ladder, steep).variances
    worth = {variant: gains_of(ladder, variant, steep, by_loss=True) for variant in ladder.variants}
    other = [variant for variant, apart in worth.items() if np.abs(apart.log_gain).max() > SAME]
    apart = predict_gains([worth[variant] for variant in other], ladder.at, noise, forms, strays)
    found = predict_losses(
        [losses_of(ladder, variant) for variant in (ladder.baseline, *other)],
        [gain.course for gain in apart],
        steep,
        loss_noise(ladder).variances,
        unshared(ladder, steep),
        irreducible,
        walks,
    )
    by_name = dict(zip((ladder.baseline, *other), found, strict=True))
    return {variant: by_name.get(variant, found[0]) for variant in ladder.variants}


def _forecast(gain: GainAhead, loss: LossAhead, confidence: float, flags: tuple[str, ...]) -> Forecast:
    turns = ("may-turn",) if gain.odds[TURNING] > TURNS else ()
    return Forecast(
        exponent=loss.exponent.quantile(0.5),
        exponent_span=loss.exponent.span(confidence),
        loss=loss.measured.quantile(0.5),
        loss_span=loss.measured.span(confidence),
        loss_confidence=loss.law.span(confidence),
        log_gain=gain.measured.quantile(0.5),
        log_gain_span=gain.measured.span(confidence),
        log_gain_confidence=gain.law.span(confidence),
        flags=tuple(dict.fromkeys((*flags, *turns))),
    )


def _flags(ladder: Ladder, irreducible: float | None) -> tuple[str, ...]:
    few = len(ladder.fitted) < TO_TELL
    known = {"rising-loss": _rises(ladder), "no-floor": few and irreducible is None, "may-turn": few}
    return tuple(flag for flag, holds in known.items() if holds)


def _rises(ladder: Ladder) -> bool:
    """Whether the baseline ended no lower at the largest fitted model than at some smaller one."""
    *smaller, largest = (np.mean([end.loss for end in ladder.rungs[ladder.baseline][model]]) for model in ladder.fitted)
    return bool(largest >= min(smaller))


def gains_of(ladder: Ladder, variant: str, steep: Array, *, by_loss: bool = False) -> LadderGains:
    """A variant's mean ln CEG a model, or what it is ahead by in loss over the slope; as many seeds ahead as last."""
    models = [ladder.rungs[variant][model] for model in ladder.fitted]
    base = [ladder.rungs[ladder.baseline][model] for model in ladder.fitted]
    x: Array = np.array([np.mean([end.log_cost for end in ends]) for ends in base])
    y: Array = np.array([np.mean([end.log_gain for end in ends]) for ends in models])
    if by_loss:
        y = np.array([np.mean([end.ahead for end in ends]) for ends in models]) / steep[:-1]
    seeds = np.array([len(ends) for ends in (*models, models[-1])])
    return LadderGains(x, y, relative(steep) ** 2 / seeds)


def losses_of(ladder: Ladder, variant: str) -> Losses:
    """The losses of a variant along its own costs; at the larger model it costs as much more as at the last."""
    models = [ladder.rungs[variant][model] for model in ladder.fitted]
    x: Array = np.array([np.mean([end.log_cost for end in ends]) for ends in models])
    y: Array = np.array([np.mean([end.loss for end in ends]) for ends in models])
    base = np.mean([end.log_cost for end in ladder.rungs[ladder.baseline][ladder.fitted[-1]]])
    seeds = np.array([len(ends) for ends in (*models, models[-1])])
    return Losses(x, y, 1 / seeds, ladder.at + float(x[-1] - base))
