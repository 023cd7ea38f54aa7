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
    "compute": "Law: loss = E + A C^-a with one E for all variants; each gain is an average over constant, drifting, "
    "saturating and turning ones by what the models say for them. A law of parameters and data needs three smaller "
    "models with three annealed budgets each.",
    "params_data": "Law: loss = E + A / N^alpha + B / D^beta of parameters and tokens, with one E for all variants.",
}
"""What was fitted, and why not the other law."""


def covered(found: Sequence[Prediction], level: str) -> str:
    """One sentence: how many observed gains and losses lie in their prediction intervals; empty where none was."""
    gains = [_inside(row.ceg_low, row.ceg_observed, row.ceg_high) for row in found]
    losses = [_inside(row.loss_low, row.loss_observed, row.loss_high) for row in found]
    counts = [f"{sum(map(bool, seen))} of {len(seen)}" for held in (gains, losses) if (seen := _known(held))]
    if len(counts) < 2:
        return ""
    return f"The {level} prediction intervals hold {counts[0]} observed gains and {counts[1]} observed losses."


def _known(held: Sequence[bool | None]) -> list[bool]:
    return [inside for inside in held if inside is not None]


def _inside(low: float | None, value: float | None, high: float | None) -> bool | None:
    """None where there is nothing to compare."""
    return None if low is None or value is None or high is None else low <= value <= high


def score(found: Sequence[Prediction]) -> str:
    """One sentence: how far the law and the naive predictors were off, over all variants that all of them predict."""
    scored = [(r.error, r.error_same_as_largest, r.error_no_gain) for r in found]
    known = [(a, b, c) for a, b, c in scored if a is not None and b is not None and c is not None]
    if not known:
        return ""
    law, same, none = (math.exp(min(fmean(column), 700.0)) for column in zip(*known, strict=True))
    verdict = "better" if law < min(same, none) else "no better"
    largest = found[0].models[-1] if len({row.holdout for row in found}) == 1 else "the largest fitted model"
    count = f"{len(known)} prediction{'s' if len(known) > 1 else ''}"
    return (
        f"On average over {count} the law was off by a factor of {ratio(law)}, 'as at {largest}' by "
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
