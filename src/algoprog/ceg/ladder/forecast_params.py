"""Forecasts from parameters and data: Chinchilla laws fitted to the annealed end points of all variants."""

from __future__ import annotations

import numpy as np
from scipy import stats

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.fit.params_data import (
    BUDGETS,
    SIZES,
    ParamsDataLaw,
    Points,
    enough,
    fit_params_data,
    replicates,
)
from algoprog.ceg.ladder.forecast import Forecast, quantiles
from algoprog.ceg.ladder.ladder import Ladder

REPLICATES = 60
MISSES = 21
RunRow = tuple[int, float, float, float]  # run, parameters, tokens, loss


def lacks(ladder: Ladder) -> str:
    """What the law of parameters and data misses here, in words; empty where it can be fitted."""
    rows = {variant: _rows(ladder, variant) for variant in (ladder.baseline, *ladder.variants)}
    if ladder.held not in ladder.rungs[ladder.baseline]:
        return "the parameters and tokens of a model to come are not known, which the law params_data needs"
    if any(not found for found in rows.values()):
        return "the runs do not tell their parameters and tokens, which the law params_data needs"
    _, sizes, tokens, _ = np.array(rows[ladder.baseline]).T
    if not enough(sizes, tokens):
        return f"the law params_data needs {SIZES} fitted sizes with {BUDGETS} annealed budgets each"
    return ""


def forecast_params(ladder: Ladder, confidence: float) -> dict[str, Forecast]:
    """The forecast of every variant that was run at all fitted models."""
    arms = (ladder.baseline, *ladder.variants)
    rows = np.array([(arm, *row) for arm, variant in enumerate(arms) for row in _rows(ladder, variant)])
    arm, run, n, d, loss = rows.T
    run = np.unique(np.stack([arm, run]), axis=1, return_inverse=True)[1].ravel().astype(float)
    centre_n, centre_d = np.log(n).mean(), np.log(d).mean()
    points = Points(arm, run, np.log(n) - centre_n, np.log(d) - centre_d, loss)
    laws = [law := fit_params_data(points), *replicates(law, points, REPLICATES)]
    base = ladder.rungs[ladder.baseline][ladder.held][0].arm
    log_n, log_d = np.log(_n(base)) - centre_n, np.log(_tokens(base)[-1]) - centre_d
    misses = _misses(law, points), _gain_misses(ladder, law, centre_n, centre_d)
    found = {}
    for index, variant in enumerate(ladder.variants, start=1):
        place = (log_n + _log_ratio(ladder, variant, "size"), log_d, _log_ratio(ladder, variant, "price"))
        found[variant] = _forecast(laws, index, log_n, place, misses, confidence)
    return found


def _forecast(
    laws: list[ParamsDataLaw],
    arm: int,
    log_n: float,
    place: tuple[float, float, float],
    misses: tuple[float, float],
    confidence: float,
) -> Forecast:
    """CEG = cost of the baseline's tokens over that of the tokens which bring the variant to the baseline's loss.

    What is measured there misses the law as the fitted runs do: `misses` are sds of ln loss and of ln CEG.
    """
    own_n, log_d, price = place
    logs = [log_d - law.log_tokens(arm, own_n, law.loss(0, log_n, log_d)) - price for law in laws]
    losses = [law.loss(arm, own_n, log_d - price) for law in laws]
    exponents = [float(law.beta[arm]) for law in laws]
    return Forecast(
        exponent=exponents[0],
        exponent_span=quantiles(exponents[1:], confidence),
        loss=losses[0],
        loss_span=quantiles(_missed(np.log(losses[1:]), misses[0], exp=True), confidence),
        loss_confidence=quantiles(losses[1:], confidence),
        log_gain=logs[0],
        log_gain_span=quantiles(_missed(np.array(logs[1:]), misses[1]), confidence),
        log_gain_confidence=quantiles(logs[1:], confidence),
    )


def _missed(values: Array, sd: float, *, exp: bool = False) -> Array:
    """Every value with many misses, evenly spread over the shares of a normal distribution."""
    found = np.add.outer(values, sd * stats.norm.ppf((np.arange(MISSES) + 0.5) / MISSES)).ravel()
    return np.exp(found) if exp else found


def _misses(law: ParamsDataLaw, points: Points) -> float:
    """Sd of ln(measured / fitted), with the degrees of freedom that the fit leaves."""
    fitted = [law.loss(int(arm), n, d) for arm, n, d in zip(points.arm, points.log_n, points.log_d, strict=True)]
    free = max(len(fitted) - 3 - 3 * len(law.a), 1)
    return float(np.sqrt((np.log(points.loss / np.array(fitted)) ** 2).sum() / free))


def _gain_misses(ladder: Ladder, law: ParamsDataLaw, centre_n: float, centre_d: float) -> float:
    """Root mean square of measured ln CEG less the law's over the fitted models, a mean over seeds each."""
    squares = []
    for index, variant in enumerate(ladder.variants, start=1):
        for model in ladder.fitted:
            ends = ladder.rungs[variant][model]
            base, arm = ends[0].base, ends[0].arm
            log_n, log_d = np.log(_n(base)) - centre_n, np.log(_tokens(base)[-1]) - centre_d
            price = _log_ratio(ladder, variant, "price")
            own_n = np.log(_n(arm)) - centre_n
            said = log_d - law.log_tokens(index, own_n, law.loss(0, log_n, log_d)) - price
            squares.append((float(np.mean([end.log_gain for end in ends])) - said) ** 2)
    known = [square for square in squares if np.isfinite(square)]
    return float(np.sqrt(np.mean(known))) if known else 0.0


def _log_ratio(ladder: Ladder, variant: str, what: str) -> float:
    """Ln of variant over baseline at the largest fitted model: of their sizes, or of what one token costs."""
    end = ladder.rungs[variant][ladder.fitted[-1]][0]
    if what == "size":
        return float(np.log(_n(end.arm) / _n(end.base)))
    prices = [curve.points(ladder.cost)[0][-1] / _tokens(curve)[-1] for curve in (end.arm, end.base)]
    return float(np.log(prices[0] / prices[1]))


def _rows(ladder: Ladder, variant: str) -> list[RunRow]:
    """Annealed end points of the runs below the held-out model: of branches all, else the last evaluation."""
    rows = []
    for run, end in enumerate(ladder.ends(variant)):
        curve = end.arm
        if curve.n_params and "tokens" in curve.costs:
            tokens, loss = curve.points("tokens")
            first = 0 if curve.annealed else -1
            ends = zip(tokens[first:], loss[first:], strict=True)
            rows += [(run, _n(curve), float(d), float(value)) for d, value in ends]
    return rows


def _n(curve: Curve) -> float:
    return float(curve.n_params or 0)


def _tokens(curve: Curve) -> Array:
    return curve.points("tokens")[0]
