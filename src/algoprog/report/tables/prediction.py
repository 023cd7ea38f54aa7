"""Predictions at a held-out model as terminal tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.report.words.naming import COST_TITLES, in_order, loss, plain, ratio, shorten
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.prediction import LAW_WORDS, factor, score, span
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.predict import Prediction

_VARIANT = 16


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


def _axis(row: Prediction) -> str:
    return COST_TITLES.get(row.cost, row.cost)


def _loss_row(row: Prediction, name: str) -> str:
    exponent, losses = span(row.exponent_low, row.exponent_high), span(row.loss_low, row.loss_high)
    return _loss_line(name, f"{row.exponent:.3f}", exponent, loss(row.loss), losses, loss(row.loss_observed))


def _gain_row(row: Prediction, name: str) -> str:
    errors = [factor(error) for error in (row.error, row.error_same_as_largest, row.error_no_gain)]
    return _gain_line(name, ratio(row.ceg), span(row.ceg_low, row.ceg_high), ratio(row.ceg_observed), *errors)


def _loss_line(variant: str, exponent: str, spread: str, loss_: str, losses: str, observed: str) -> str:
    return f"{variant:<{_VARIANT}}{exponent:>9}{spread:>17}{loss_:>9}{losses:>17}{observed:>10}"[:WIDTH].rstrip()


def _gain_line(variant: str, ceg: str, spread: str, observed: str, law: str, same: str, none: str) -> str:
    cells = f"{variant:<{_VARIANT}}{ceg:>9}{spread:>18}{observed:>10}{law:>9}{same:>9}{none:>9}"
    return cells[:WIDTH].rstrip()
