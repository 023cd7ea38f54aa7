"""Predictions at a held-out model in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from algoprog.report.words.naming import ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.ladder.predict import Prediction


LAW_WORDS = {
    "compute": "Law: loss = E + A C^-a with one E for all variants; their gains drift with compute. A law of "
    "parameters and data needs three smaller models with three annealed budgets each.",
    "params_data": "Law: loss = E + A / N^alpha + B / D^beta of parameters and tokens, with one E for all variants.",
}
"""What was fitted, and why not the other law."""


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


def span(low: float | None, high: float | None) -> str:
    """An interval; a side that is not bounded is `?`, and without both there is `unknown`."""
    if low is None and high is None:
        return "unknown"
    return f"[{'?' if low is None else ratio(low)}, {'?' if high is None else ratio(high)}]"


def factor(error: float | None) -> str:
    """An error of ln CEG as the factor by which the CEG is missed."""
    return "-" if error is None else f"x{ratio(math.exp(min(error, 700.0)))}"
