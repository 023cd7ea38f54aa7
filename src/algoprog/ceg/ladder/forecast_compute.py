"""Forecasts from compute alone: a law of the baseline's loss, and gains of any form along the ladder."""

from __future__ import annotations

import numpy as np

from algoprog.ceg.curves import Array
from algoprog.ceg.ladder.forecast import Forecast, quantiles
from algoprog.ceg.ladder.forms import TURNING
from algoprog.ceg.ladder.gain_law import GainAhead, LadderGains, predict_gains
from algoprog.ceg.ladder.ladder import Ladder
from algoprog.ceg.ladder.loss_law import LossAhead, Losses, predict_losses
from algoprog.ceg.ladder.mixture import Mixture
from algoprog.ceg.ladder.noise import gain_noise, loss_noise, relative, slopes

DRAWS = 20_000
TURNS = 0.25
"""Probability of the turning form above which a gain is flagged."""

TO_TELL = 3
"""Fitted models below which neither the irreducible loss nor the form of a gain can be told."""


def forecast_compute(ladder: Ladder, confidence: float, irreducible: float | None = None) -> dict[str, Forecast]:
    """The forecast of every variant that was run at all fitted models.

    A variant's loss is the baseline's less what its gain is worth there: the paired gains know far better how a variant
    bends than its own losses do.

    Raises:
        ValueError: a given irreducible loss that a run went below.
    """
    variants = (ladder.baseline, *ladder.variants)
    lowest = min(end.loss for variant in variants for end in ladder.ends(variant))
    if irreducible is not None and not 0 <= irreducible < lowest:
        raise ValueError(f"an irreducible loss of {irreducible:g} does not lie between 0 and the lowest, {lowest:.4g}")
    steep = slopes(ladder)
    base, *rest = (losses_of(ladder, variant) for variant in variants)
    loss = predict_losses(base, rest, loss_noise(ladder).variances, irreducible)
    gained = [gains_of(ladder, variant, steep) for variant in ladder.variants]
    gains = predict_gains(gained, ladder.at, gain_noise(ladder, steep).variances)
    worth = [gains_of(ladder, variant, steep, by_loss=True) for variant in ladder.variants]
    apart = predict_gains(worth, ladder.at, gain_noise(ladder, steep).variances)
    flags = _flags(ladder, irreducible)
    return {
        variant: _forecast(gain, variant_loss(loss, nats, float(steep[-1])), loss.exponents[i], confidence, flags)
        for i, (variant, gain, nats) in enumerate(zip(ladder.variants, gains, apart, strict=True))
    }


def variant_loss(base: LossAhead, apart: GainAhead, slope: float) -> tuple[Array, Array]:
    """Draws of a variant's loss at the larger model, by the laws and as it is measured."""
    rng = np.random.default_rng(0)
    law = base.law.draws(DRAWS, rng) - slope * apart.law.draws(DRAWS, rng)
    return law, base.measured.draws(DRAWS, rng) - slope * apart.true.draws(DRAWS, rng)


def _forecast(
    gain: GainAhead, loss: tuple[Array, Array], exponent: Mixture, confidence: float, flags: tuple[str, ...]
) -> Forecast:
    law, measured = loss
    turns = ("may-turn",) if gain.odds[TURNING] > TURNS else ()
    return Forecast(
        exponent=exponent.quantile(0.5),
        exponent_span=exponent.span(confidence),
        loss=float(np.median(measured)),
        loss_span=quantiles(measured, confidence),
        loss_confidence=quantiles(law, confidence),
        log_gain=gain.measured.quantile(0.5),
        log_gain_span=gain.measured.span(confidence),
        log_gain_confidence=gain.law.span(confidence),
        flags=tuple(dict.fromkeys((*flags, *turns))),
    )


def _flags(ladder: Ladder, irreducible: float | None) -> tuple[str, ...]:
    if len(ladder.fitted) >= TO_TELL:
        return ()
    return ("may-turn",) if irreducible is not None else ("no-floor", "may-turn")


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
