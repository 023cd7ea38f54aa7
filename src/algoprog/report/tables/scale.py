"""Scale dependence as a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS
from algoprog.report.words.naming import in_order, plain, shorten, slope
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.scale import per_decade, settle, verdict_word
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.scale import ScaleDependence

_VARIANT = 16
_MEANING = {
    "independent": "the slope's interval lies within +-0.041, a 10 % change of the gain per decade of compute",
    "dependent": "the gain grows with compute: the interval lies above 0",
    "inverse": "the gain shrinks with compute: the interval lies below 0",
    "inconclusive": "the interval allows more than one of these",
}


def scale_table(found: Sequence[ScaleDependence], *, confidence: float = 0.9) -> str:
    """Slope of ln CEG on ln compute with interval and verdict, the paper's two-point rule beside it.

    Args:
        found: what `scale_dependence` returned for one cost axis.
        confidence: level that it was asked for.
    """
    if not found:
        return "Scale dependence needs gains at two models or more: nothing to show.\n"
    found = in_order(found)
    names = shorten((plain(row.variant) for row in found), _VARIANT)
    title = f"Does the gain change with compute? Cost axis: {COSTS[found[0].cost].title}"
    head = _line("variant", "n", "slope", f"{confidence:.0%} interval", "x/decade", "verdict", "two-point")
    rows = [_row(row, names[plain(row.variant)]) for row in found]
    notes = [*_legend(found), *(note for row in found if (note := settle(row))), *full_names(names)]
    return "\n".join([title, "=" * WIDTH, head, "-" * WIDTH, *rows, "-" * WIDTH, *wrapped(notes)]) + "\n"


def _row(row: ScaleDependence, name: str) -> str:
    interval = (
        "" if row.slope_low is None or row.slope_high is None else f"[{slope(row.slope_low)}, {slope(row.slope_high)}]"
    )
    cells = (slope(row.slope), interval, per_decade(row.slope), verdict_word(row), row.two_point)
    return _line(name, str(len(row.models)), *cells)


def _line(variant: str, models: str, steep: str, interval: str, factor: str, verdict: str, rule: str) -> str:
    cells = f"{variant:<{_VARIANT}}{models:>3}{steep:>8}{interval:>17}{factor:>9}"
    return f"{cells}  {verdict:<13}{rule}"[:WIDTH].rstrip()


def _legend(found: Sequence[ScaleDependence]) -> list[str]:
    ladder = max((row.models for row in found), key=len)
    legend = [
        f"n: models, of the ladder {', '.join(ladder)}. slope: change of ln CEG for an e-fold of compute.",
        "x/decade: what ten times the compute multiplies the gain by",
        "two-point: the paper's rule, which reads the smallest and the largest model and no interval",
    ]
    flags = dict.fromkeys(flag for row in found for flag in row.flags)
    legend += [f"{flag} ({', '.join(r.variant for r in found if flag in r.flags)}): {explain(flag)}" for flag in flags]
    legend += [f"{verdict}: {_MEANING[verdict]}" for verdict in dict.fromkeys(row.verdict for row in found)]
    if len(ladder) == 2:
        legend.append(
            "Two models: a line through two points always fits, and with one seed each the interval is of evaluation "
            "noise alone. A third model has to confirm a verdict."
        )
    return legend
