"""Predict loss and CEG at a larger scale that was held out, and score the prediction against two naive ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.iso_loss import IsoLoss
from algoprog.ceg.law import Law, bootstrap, fit_law
from algoprog.ceg.pairing import pair_up
from algoprog.ceg.smoothing import trend_of
from algoprog.runs.record import BASELINE

REPLICATES = 500
LARGEST = "largest"


@dataclass(frozen=True)
class Prediction:
    """What a variant's law, fitted below the held-out model, says about it; `*_low` and `*_high` bound the interval.

    Losses are in nats per token at the compute of the held-out baseline; errors are |ln predicted - ln observed| of the
    CEG, for the law and for the two naive predictors. Numbers that do not exist are None: no interval without a spare
    point, no observed value where the held-out model was not run.
    """

    variant: str
    holdout: str
    cost: str
    models: tuple[str, ...]  # fitted, by rising compute
    exponent: float
    exponent_low: float | None
    exponent_high: float | None
    loss: float
    loss_low: float | None
    loss_high: float | None
    loss_observed: float | None
    ceg: float | None
    ceg_low: float | None
    ceg_high: float | None
    ceg_observed: float | None
    error: float | None
    error_same_as_largest: float | None
    error_no_gain: float | None
    flags: tuple[str, ...]


def predict(
    curves: Sequence[Curve],
    *,
    holdout: str = LARGEST,
    cost: str = "flops",
    baseline: str = BASELINE,
    confidence: float = 0.9,
) -> list[Prediction]:
    """Fit Loss(C) = E + A C^-a to the end points of every variant's runs below the held-out model and extrapolate.

    The predicted CEG is C / C_variant(L), L the baseline's predicted loss at the held-out compute C. With two fitted
    models no floor can be fitted: E is 0 and the row is flagged `no-floor`. Every row is flagged `extrapolated`.

    Raises:
        ValueError: no such model, fewer than two models left to fit, or as `compute_gains`.
    """
    arms = _ends(curves, cost, baseline)
    ladder = _ladder(arms[baseline])
    held = ladder[-1] if holdout == LARGEST else holdout
    if held not in ladder:
        raise ValueError(f"no baseline run of model {holdout!r}: hold out one of {', '.join(ladder)}")
    fitted = ladder[: ladder.index(held)]
    if len(fitted) < 2:
        raise ValueError(f"only {len(fitted)} model is smaller than {held}: a prediction needs runs of two at least")
    at = float(np.exp(np.mean([point.log_cost for point in arms[baseline][held]])))
    base = _fit([point for model in fitted for point in arms[baseline][model]], seed=0)
    return [
        _predict(_Case(variant, held, cost, tuple(fitted), at, confidence), base, models)
        for variant, models in arms.items()
        if variant != baseline and all(model in models for model in fitted)
    ]


@dataclass(frozen=True)
class _End:
    """End point of a run and, for a variant, the ln CEG of its pair."""

    log_cost: float
    loss: float
    log_gain: float


@dataclass(frozen=True)
class _Case:
    variant: str
    holdout: str
    cost: str
    models: tuple[str, ...]
    at: float
    confidence: float

    def interval(self, values: Sequence[float]) -> tuple[float | None, float | None]:
        """Central quantiles; None where there are no replicates or a tail of them is infinite."""
        tail = (1 - self.confidence) / 2
        if not values:
            return None, None
        low, high = np.quantile(np.array(values), [tail, 1 - tail], method="nearest")
        return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)


def _ends(curves: Sequence[Curve], cost: str, baseline: str) -> dict[str, dict[str, list[_End]]]:
    """End points by variant and model."""
    found: dict[str, dict[str, list[_End]]] = {}
    for group in pair_up(curves, baseline):
        for base, arm in group.pairs:
            trend = trend_of(arm, cost)
            gain = IsoLoss()(base, arm, cost, "final").log_gain
            ends = found.setdefault(group.variant, {}).setdefault(group.model, [])
            ends.append(_End(float(trend.log_cost[-1]), trend.end, gain))
    if baseline not in found:
        raise ValueError(f"no finished run of the baseline {baseline!r}: run it again")
    return found


def _ladder(models: dict[str, list[_End]]) -> list[str]:
    return sorted(models, key=lambda model: np.mean([end.log_cost for end in models[model]]))


def _fit(ends: list[_End], seed: int) -> list[Law]:
    """The law of these end points, then its bootstrap replicates."""
    cost: Array = np.exp([end.log_cost for end in ends])
    loss = np.array([end.loss for end in ends])
    law = fit_law(cost, loss)
    return [law, *bootstrap(law, cost, loss, REPLICATES, seed)]


def _predict(case: _Case, base: list[Law], models: dict[str, list[_End]]) -> Prediction:
    arm = _fit([end for model in case.models for end in models[model]], seed=1)
    losses = [float(law.loss(case.at)) for law in arm]
    logs = [_log_gain(b, a, case.at) for b, a in zip(base, arm, strict=False)]
    log_gain = logs[0]
    seen = models.get(case.holdout, [])
    observed = float(np.mean([end.log_gain for end in seen])) if seen else None
    largest = float(np.mean([end.log_gain for end in models[case.models[-1]]]))
    low, high = case.interval(logs[1:])
    loss_low, loss_high = case.interval(losses[1:])
    exponent_low, exponent_high = case.interval([law.exponent for law in arm[1:]])
    finite = bool(np.isfinite(log_gain))
    return Prediction(
        variant=case.variant,
        holdout=case.holdout,
        cost=case.cost,
        models=case.models,
        exponent=arm[0].exponent,
        exponent_low=exponent_low,
        exponent_high=exponent_high,
        loss=losses[0],
        loss_low=loss_low,
        loss_high=loss_high,
        loss_observed=float(np.mean([end.loss for end in seen])) if seen else None,
        ceg=float(np.exp(log_gain)) if finite else None,
        ceg_low=None if low is None else float(np.exp(low)),
        ceg_high=None if high is None else float(np.exp(high)),
        ceg_observed=None if observed is None else float(np.exp(observed)),
        error=None if observed is None or not finite else abs(log_gain - observed),
        error_same_as_largest=None if observed is None else abs(largest - observed),
        error_no_gain=None if observed is None else abs(observed),
        flags=("extrapolated", *(("no-floor",) if len(case.models) < 3 else ())),
    )


def _log_gain(base: Law, arm: Law, cost: float) -> float:
    """Log of cost / (cost at which the variant's law reaches the baseline's loss); -inf where it never does."""
    return float(np.log(cost)) - arm.log_cost(float(base.loss(cost)))
