"""How much gains depend on the learning rate: the gain at every rate of a sweep whose runs are all compared."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.ceg.tuning.choice import Tuning
from algoprog.report.page.section import Section, Table
from algoprog.report.words.naming import order_variants
from algoprog.report.words.words import gain_text


def by_rate_section(
    curves: Sequence[Curve], found: Sequence[Tuning], *, cost: str, baseline: str, confidence: float
) -> Section | None:
    """Gains at every learning rate; None where no model was compared at several.

    Args:
        curves: of all rates.
        found: the models that were tuned.
        cost: cost axis of the gains.
        baseline: what they are measured against.
        confidence: of their intervals.
    """
    swept = [tuning for tuning in found if not tuning.separate and baseline in tuning.searches]
    ours = [curve for curve in curves if curve.model in {tuning.model for tuning in swept}]
    rates = sorted({point[0] for tuning in swept for point in tuning.points})
    if len(rates) < 2 or len({point for tuning in swept for point in tuning.points}) > len(rates):
        return None
    each = [_gains([c for c in ours if c.learning_rate == rate], cost, baseline, confidence) for rate in rates]
    rows = tuple(
        (variant, tuning.model, *(gain_text(_find(gains, tuning.model, variant)) for gains in each))
        for tuning in swept
        for variant in order_variants(tuning.searches)
    )
    head = ("variant", "model", *(f"CEG at {rate:g}" for rate in rates))
    prose = ("One learning rate for all favours the variant that it suits: the gain if all had been run at one.",)
    return Section("Gain at every learning rate", prose, table=Table("Gains by learning rate.", head, rows))


def _gains(curves: Sequence[Curve], cost: str, baseline: str, confidence: float) -> list[Gain]:
    """Gains of these curves; none where the baseline was not run."""
    if all(curve.variant != baseline for curve in curves):
        return []
    return compute_gains(curves, estimators=("iso_loss",), costs=(cost,), baseline=baseline, confidence=confidence)


def _find(gains: Sequence[Gain], model: str, variant: str) -> Gain | None:
    found = [gain for gain in gains if (gain.model, gain.variant) == (model, variant) and gain.kind != "bound"]
    return found[0] if found else None
