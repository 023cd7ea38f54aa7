"""Predictions at a held-out model as terminal tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS
from algoprog.ceg.metric import METRICS
from algoprog.report.words.naming import in_order, loss, plain, ratio, shorten
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.prediction import LAW_WORDS, covered, factor, score, span
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.predict import Prediction

_VARIANT = 16


def predictions_table(found: Sequence[Prediction], *, confidence: float = 0.9) -> str:
    """Predicted and observed loss and CEG with both intervals, exponents, and the errors of all predictors.

    Args:
        found: what `predict` returned; of several held-out models each has a table, and all have one score.
        confidence: level that it was asked for.
    """
    if not found:
        return "No variant was run at every fitted model: nothing to predict.\n"
    held = list(dict.fromkeys(row.holdout for row in found))
    tables = [_table([row for row in found if row.holdout == model], confidence) for model in held]
    flags = dict.fromkeys(flag for row in found for flag in row.flags)
    legend = [
        f"loss: in {METRICS[found[0].metric].unit}",
        f"exponent: of {'tokens' if found[0].law == 'params_data' else 'compute'}, for each variant",
        "confidence: interval of what the law says there; prediction: of what is measured there, with what the law "
        "misses and the scatter of seeds",
        "off: factor between predicted and observed CEG, by the law, by 'as at the largest fitted model' (same) and by "
        "'no gain' (none)",
        covered(found, f"{confidence:.0%}"),
        score(found),
        *(f"{flag}: {explain(flag)}" for flag in flags),
    ]
    names = shorten((plain(row.variant) for row in found), _VARIANT)
    return "\n".join([*tables, *wrapped(filter(None, legend)), *wrapped(full_names(names))]) + "\n"


def _table(found: Sequence[Prediction], confidence: float) -> str:
    found = in_order(found)
    first, level = found[0], f"{confidence:.0%}"
    names = shorten((plain(row.variant) for row in found), _VARIANT)
    spans = (f"{level} confidence", f"{level} prediction")
    rows = [(row, names[plain(row.variant)]) for row in found]
    lines = [
        *wrapped([f"Predicted at {first.holdout} from {', '.join(first.models)}, cost axis: {_axis(first)}"]),
        *wrapped([LAW_WORDS[first.law]]),
        "=" * WIDTH,
        _value_line("variant", "loss", *spans, "observed"),
        "-" * WIDTH,
        *(_loss_row(row, name) for row, name in rows),
        "",
        _value_line("variant", "CEG", *spans, "observed"),
        "-" * WIDTH,
        *(_gain_row(row, name) for row, name in rows),
        "",
        _error_line("variant", "exponent", spans[0], "law off", "same off", "none off"),
        "-" * WIDTH,
        *(_error_row(row, name) for row, name in rows),
        "-" * WIDTH,
    ]
    return "\n".join(lines)


def _axis(row: Prediction) -> str:
    return COSTS[row.cost].title


def _loss_row(row: Prediction, name: str) -> str:
    law, measured = span(row.loss_confidence_low, row.loss_confidence_high), span(row.loss_low, row.loss_high)
    return _value_line(name, loss(row.loss), law, measured, loss(row.loss_observed))


def _gain_row(row: Prediction, name: str) -> str:
    law, measured = span(row.ceg_confidence_low, row.ceg_confidence_high), span(row.ceg_low, row.ceg_high)
    return _value_line(name, ratio(row.ceg), law, measured, ratio(row.ceg_observed))


def _error_row(row: Prediction, name: str) -> str:
    errors = [factor(error) for error in (row.error, row.error_same_as_largest, row.error_no_gain)]
    return _error_line(name, f"{row.exponent:.3f}", span(row.exponent_low, row.exponent_high), *errors)


def _value_line(variant: str, value: str, law: str, measured: str, observed: str) -> str:
    return f"{variant:<{_VARIANT}}{value:>9}{law:>19}{measured:>19}{observed:>10}"[:WIDTH].rstrip()


def _error_line(variant: str, exponent: str, spread: str, law: str, same: str, none: str) -> str:
    return f"{variant:<{_VARIANT}}{exponent:>9}{spread:>19}{law:>10}{same:>10}{none:>10}"[:WIDTH].rstrip()
