"""Scale dependence in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.report.words.naming import ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.scale import ScaleDependence


def verdict_word(row: ScaleDependence) -> str:
    """The verdict, with a question mark where a line through two models could not fail to fit."""
    return row.verdict if row.verdict == "inconclusive" or len(row.models) > 2 else f"{row.verdict}?"


def settle(row: ScaleDependence) -> str:
    """What would settle an inconclusive verdict; empty for the others."""
    if row.verdict != "inconclusive":
        return ""
    ways = [f"{row.seeds_needed} seeds a model"] if row.seeds_needed else []
    ways += [f"a ladder of {row.decades_needed:.1f} decades of compute"] if row.decades_needed else []
    if not ways:
        return f"{row.variant}: no number of seeds up to 100 would settle it; a longer ladder of models may"
    if not row.seeds_needed:
        return f"{row.variant}: more models on the ladder may settle it, more seeds would not; or {ways[0]}"
    return f"{row.variant}: {', or '.join(ways)}, would settle it if slope and scatter stay as they are"


def per_decade(value: float) -> str:
    """What ten times the compute multiplies a gain by."""
    return ratio(10 ** min(max(value, -99.0), 99.0))
