"""How much gains depend on the learning rate: the gain at every rate beside that of the best of each."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.ceg.tuning import LR_EDGE, LR_GRID, Tuning, tunings
from algoprog.report.page.section import Section, Table
from algoprog.report.words.naming import order_variants
from algoprog.report.words.words import gain_text, interval_text


def tuning_section(curves: Sequence[Curve], *, cost: str, baseline: str, confidence: float) -> Section | None:
    """Gains at every learning rate beside those of the best of each; None without a tuned model.

    Args:
        curves: of all rates.
        cost: cost axis of the gains.
        baseline: what they are measured against.
        confidence: of their intervals.
    """
    chosen = [tuning for tuning in tunings(curves) if baseline in tuning.best]
    if not chosen:
        return None
    ours = [curve for curve in curves if curve.model in {tuning.model for tuning in chosen}]
    rates = sorted({rate for tuning in chosen for rate in tuning.rates})
    gains = {rate: _gains([c for c in ours if c.learning_rate == rate], cost, baseline, confidence) for rate in rates}
    best = _gains(ours, cost, baseline, confidence)
    rows = tuple(
        _row(tuning, variant, baseline, best, gains) for tuning in chosen for variant in order_variants(tuning.grids)
    )
    head = ("variant", "model", "best rate", "CEG, best of each", *(f"CEG at {rate:g}" for rate in rates))
    prose = (
        "One learning rate for all favours the variant that it suits. The gains of this page are those of the best of "
        "each: variant and baseline both at the rate with the lowest final loss. A best rate marked 'edge' may lie "
        "beyond the grid: widen it. One marked 'other grid' was not looked for where the baseline's was.",
    )
    return Section("Learning rate", prose, table=Table("Gains by learning rate.", head, rows))


def _gains(curves: Sequence[Curve], cost: str, baseline: str, confidence: float) -> list[Gain]:
    """Gains of these curves; none where the baseline was not run."""
    if all(curve.variant != baseline for curve in curves):
        return []
    return compute_gains(curves, estimators=("iso_loss",), costs=(cost,), baseline=baseline, confidence=confidence)


def _row(
    tuning: Tuning, variant: str, baseline: str, best: Sequence[Gain], each: dict[float, list[Gain]]
) -> tuple[str, ...]:
    words = {LR_EDGE: "edge", LR_GRID: "other grid"}
    marks = [words[flag] for flag in tuning.flags(variant, baseline)]
    rate = f"{tuning.best[variant]:g}" if variant in tuning.best else "all diverged"
    gain = _find(best, tuning.model, variant)
    values = [gain_text(_find(gains, tuning.model, variant)) for gains in each.values()]
    interval = f"{gain_text(gain)} {interval_text(gain)}".strip()
    return (variant, tuning.model, " ".join([rate, *marks]), interval, *values)


def _find(gains: Sequence[Gain], model: str, variant: str) -> Gain | None:
    found = [gain for gain in gains if (gain.model, gain.variant) == (model, variant) and gain.kind != "bound"]
    return found[0] if found else None
