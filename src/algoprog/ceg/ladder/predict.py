"""Predict loss and CEG at a larger scale that was held out, and score the prediction against two naive ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.ladder.forecast import Forecast
from algoprog.ceg.ladder.forecast_compute import forecast_compute
from algoprog.ceg.ladder.forecast_params import forecast_params, lacks
from algoprog.ceg.ladder.ladder import LARGEST, Ladder, climb, climbs
from algoprog.runs.record import BASELINE

ROLLING = "rolling"
LawName = Literal["auto", "compute", "params_data"]
LAWS: tuple[LawName, ...] = ("auto", "compute", "params_data")


@dataclass(frozen=True)
class Prediction:
    """What the runs below the held-out model say about a variant at it.

    `*_low` and `*_high` bound the prediction interval, of what will be measured there: it has the error of the law,
    what the law misses by itself, and the scatter of seeds. `*_confidence_*` bound the law's own value.
    Losses are in `metric` at the variant's own compute there; errors are |ln predicted - ln observed| of the
    CEG, for the law and for the two naive predictors. `exponent` is that of compute, or of tokens for the law
    `params_data`. Numbers that do not exist are None: no interval without a spare point, no observed value where the
    held-out model was not run.
    """

    variant: str
    holdout: str
    cost: str
    law: str  # compute or params_data
    models: tuple[str, ...]  # fitted, by rising compute
    exponent: float
    exponent_low: float | None
    exponent_high: float | None
    loss: float
    loss_low: float | None
    loss_high: float | None
    loss_confidence_low: float | None
    loss_confidence_high: float | None
    loss_observed: float | None
    ceg: float | None
    ceg_low: float | None
    ceg_high: float | None
    ceg_confidence_low: float | None
    ceg_confidence_high: float | None
    ceg_observed: float | None
    log_gain_largest: float  # ln CEG measured at the largest fitted model
    error: float | None
    error_same_as_largest: float | None
    error_no_gain: float | None
    flags: tuple[str, ...]
    metric: str = "nats"


def predict(
    curves: Sequence[Curve],
    *,
    holdout: str = LARGEST,
    cost: str = "flops",
    baseline: str = BASELINE,
    confidence: float = 0.9,
    law: LawName = "auto",
    irreducible: float | None = None,
    at: float | None = None,
) -> list[Prediction]:
    """Predict every variant at the held-out model from what was run below it.

    With `at` the larger model is not there yet: `holdout` is its name and `at` what the baseline's run of it will cost.
    `rolling` holds out every model in turn that two or more are smaller than, the smallest first.
    `irreducible` is the loss in nats that no compute removes, where it is known.

    `compute` fits Loss(C) = E + A C^-a to the baseline, with one E for all variants, and averages the gains over the
    forms that they may take along the ladder (see `gain_law`). `params_data` fits
    Loss(N, D) = E + A / N^alpha + B / D^beta with an A and B for each variant; it needs three sizes with three annealed
    budgets each. `auto` takes `params_data` where it can be fitted. Every row is flagged `extrapolated`.

    Raises:
        ValueError: no such model, law, confidence or irreducible loss, fewer than two models left to fit, too few
            points for `params_data`, or as `compute_gains`.
    """
    if law not in LAWS:
        raise ValueError(f"no law is called {law!r}: choose among {', '.join(LAWS)}")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence:g} does not lie between 0 and 1")
    if holdout != ROLLING:
        return _predict(climb(curves, holdout, cost, baseline, at), confidence, law, irreducible)
    if at is not None:
        raise ValueError("rolling hold-outs are models that were run: leave the cost of a model to come out")
    ladders = climbs(curves, cost, baseline)
    return [row for ladder in ladders for row in _predict(ladder, confidence, law, irreducible)]


def _predict(ladder: Ladder, confidence: float, law: LawName, irreducible: float | None) -> list[Prediction]:
    reason = lacks(ladder)
    if law == "params_data" and reason:
        remedy = "choose law compute, or run more budgets (schedule=wsd schedule.branches=3)"
        raise ValueError(f"{reason}: {remedy}")
    if law == "params_data" and irreducible is not None:
        raise ValueError("the law params_data fits its own irreducible loss: choose law compute to give one")
    by_params = law != "compute" and not reason and irreducible is None
    name = "params_data" if by_params else "compute"
    forecasts = forecast_params(ladder, confidence) if by_params else forecast_compute(ladder, confidence, irreducible)
    return [_prediction(ladder, variant, name, found) for variant, found in forecasts.items()]


def _prediction(ladder: Ladder, variant: str, law: str, found: Forecast) -> Prediction:
    seen = ladder.rungs[variant].get(ladder.held, [])
    observed = float(np.mean([end.log_gain for end in seen])) if seen else None
    largest = float(np.mean([end.log_gain for end in ladder.rungs[variant][ladder.fitted[-1]]]))
    finite = bool(np.isfinite(found.log_gain))
    return Prediction(
        variant=variant,
        holdout=ladder.held,
        cost=ladder.cost,
        law=law,
        models=ladder.fitted,
        exponent=found.exponent,
        exponent_low=found.exponent_span[0],
        exponent_high=found.exponent_span[1],
        loss=found.loss,
        loss_low=found.loss_span[0],
        loss_high=found.loss_span[1],
        loss_confidence_low=found.loss_confidence[0],
        loss_confidence_high=found.loss_confidence[1],
        loss_observed=float(np.mean([end.arm.points(ladder.cost)[1][-1] for end in seen])) if seen else None,
        ceg=_exp(found.log_gain),
        ceg_low=_exp(found.log_gain_span[0]),
        ceg_high=_exp(found.log_gain_span[1]),
        ceg_confidence_low=_exp(found.log_gain_confidence[0]),
        ceg_confidence_high=_exp(found.log_gain_confidence[1]),
        ceg_observed=_exp(observed),
        log_gain_largest=largest,
        error=None if observed is None or not finite else abs(found.log_gain - observed),
        error_same_as_largest=None if observed is None else abs(largest - observed),
        error_no_gain=None if observed is None else abs(observed),
        flags=tuple(dict.fromkeys(("extrapolated", *found.flags, *sorted(ladder.flags[variant])))),
        metric=ladder.rungs[variant][ladder.fitted[-1]][0].arm.metric,
    )


def _exp(log_value: float | None) -> float | None:
    """None for what does not exist or is beyond any number."""
    return float(np.exp(log_value)) if log_value is not None and abs(log_value) < 700 else None
