"""Predictions at a held-out model as terminal tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from algoprog.report.words.naming import COST_TITLES, in_order, loss, plain, ratio, shorten
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.predict import Prediction

_VARIANT = 16

LAW_WORDS = {
    "compute": "Law: loss = E + A C^-a with one E for all variants; their gains drift with compute. A law of "
    "parameters and data needs three smaller models with three annealed budgets each.",
    "params_data": "Law: loss = E + A / N^alpha + B / D^beta of parameters and tokens, with one E for all variants.",
}
"""What was fitted, and why not the other law."""


def predictions_table(found: Sequence[Prediction], *, confidence: float = 0.9) -> str:
    """Predicted and observed loss and CEG, each law's exponent with its interval, and the errors of all predictors.

    Args:
        found: what `predict` returned.
        confidence: level that it was asked for.
    """
    if not found:
        return "No variant was run at every fitted model: nothing to predict.\n"
    found = in_order(found)
    first, largest = found[0], found[0].models[-1]
    names = shorten((plain(row.variant) for row in found), _VARIANT)
    interval = f"{confidence:.0%} interval"
    lines = [
        *wrapped([f"Predicted at {first.holdout} from {', '.join(first.models)}, cost axis: {_axis(first)}"]),
        *wrapped([LAW_WORDS[first.law]]),
        "=" * WIDTH,
        _loss_line("variant", "exponent", interval, "loss", interval, "observed"),
        "-" * WIDTH,
        *(_loss_row(row, names[plain(row.variant)]) for row in found),
        "",
        _gain_line("variant", "CEG", interval, "observed", "law off", "same off", "none off"),
        "-" * WIDTH,
        *(_gain_row(row, names[plain(row.variant)]) for row in found),
        "-" * WIDTH,
    ]
    flags = dict.fromkeys(flag for row in found for flag in row.flags)
    legend = [
        f"exponent: of {'tokens' if first.law == 'params_data' else 'compute'}, for each variant",
        f"off: factor between predicted and observed CEG, by the law, by 'as at {largest}' and by 'no gain'",
        score(found),
        *(f"{flag}: {explain(flag)}" for flag in flags),
    ]
    return "\n".join([*lines, *wrapped(filter(None, legend)), *wrapped(full_names(names))]) + "\n"


def score(found: Sequence[Prediction]) -> str:
    """One sentence: how far the law and the naive predictors were off, over all variants that all of them predict."""
    scored = [(r.error, r.error_same_as_largest, r.error_no_gain) for r in found]
    known = [(a, b, c) for a, b, c in scored if a is not None and b is not None and c is not None]
    if not known:
        return ""
    law, same, none = (math.exp(min(fmean(column), 700.0)) for column in zip(*known, strict=True))
    verdict = "better" if law < min(same, none) else "no better"
    count = f"{len(known)} variant{'s' if len(known) > 1 else ''}"
    return (
        f"On average over {count} the law was off by a factor of {ratio(law)}, 'as at {found[0].models[-1]}' by "
        f"{ratio(same)}, 'no gain' by {ratio(none)}: here the law predicts {verdict} than the naive guesses."
    )


def _axis(row: Prediction) -> str:
    return COST_TITLES.get(row.cost, row.cost)


def _loss_row(row: Prediction, name: str) -> str:
    exponent, losses = span(row.exponent_low, row.exponent_high), span(row.loss_low, row.loss_high)
    return _loss_line(name, f"{row.exponent:.3f}", exponent, loss(row.loss), losses, loss(row.loss_observed))


def _gain_row(row: Prediction, name: str) -> str:
    errors = [factor(error) for error in (row.error, row.error_same_as_largest, row.error_no_gain)]
    return _gain_line(name, ratio(row.ceg), span(row.ceg_low, row.ceg_high), ratio(row.ceg_observed), *errors)


def span(low: float | None, high: float | None) -> str:
    """An interval; a side that is not bounded is `?`, and without both there is `unknown`."""
    if low is None and high is None:
        return "unknown"
    return f"[{'?' if low is None else ratio(low)}, {'?' if high is None else ratio(high)}]"


def factor(error: float | None) -> str:
    """An error of ln CEG as the factor by which the CEG is missed."""
    return "-" if error is None else f"x{ratio(math.exp(min(error, 700.0)))}"


def _loss_line(variant: str, exponent: str, spread: str, loss_: str, losses: str, observed: str) -> str:
    return f"{variant:<{_VARIANT}}{exponent:>9}{spread:>17}{loss_:>9}{losses:>17}{observed:>10}"[:WIDTH].rstrip()


def _gain_line(variant: str, ceg: str, spread: str, observed: str, law: str, same: str, none: str) -> str:
    cells = f"{variant:<{_VARIANT}}{ceg:>9}{spread:>18}{observed:>10}{law:>9}{same:>9}{none:>9}"
    return cells[:WIDTH].rstrip()
