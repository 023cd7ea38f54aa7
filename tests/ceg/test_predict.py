"""Predictions on simulated ladders whose gains are known."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from algoprog.ceg.fit.params_data import Points, _objective, fit_params_data
from algoprog.ceg.ladder.drift import drift
from algoprog.ceg.ladder.predict import predict
from algoprog.ceg.simulate.ladder import ARMS, Ladder


def errors(ladder: Ladder, law: str) -> np.ndarray:
    """Rows of (law, as at the largest, no gain): errors of ln CEG against the truth."""
    rng = np.random.default_rng(1)
    found = predict(ladder.curves(rng, ladder.steps(rng)), law=law)
    truths = [ladder.log_gain(ARMS[row.variant], ladder.models - 1) for row in found]
    rows = [(np.log(r.ceg) - t, r.log_gain_largest - t, t) for r, t in zip(found, truths, strict=True)]
    return np.abs(rows).mean(0)


@pytest.mark.parametrize(
    ("ladder", "law"),
    [(Ladder(models=3), "compute"), (Ladder(models=4, seeds=1, branches=5), "params_data")],
    ids=["two-models", "branches"],
)
def test_laws_beat_the_naive_guesses_on_average(ladder, law, monkeypatch):
    monkeypatch.setattr("algoprog.ceg.ladder.forecast_params.REPLICATES", 2)  # no interval is looked at
    predicted, same, none = errors(ladder, law)
    assert predicted < min(same, none)


def test_auto_says_which_law_it_took_and_params_data_what_it_lacks():
    ladder = Ladder(models=3, seeds=1)
    rng = np.random.default_rng(1)
    curves = ladder.curves(rng, ladder.steps(rng))
    assert {row.law for row in predict(curves)} == {"compute"}
    with pytest.raises(ValueError, match="needs 3 fitted sizes with 3 annealed budgets each"):
        predict(curves, law="params_data")
    with pytest.raises(ValueError, match="choose among auto, compute, params_data"):
        predict(curves, law="magic")


def test_params_data_recovers_a_known_law():
    n, d = (grid.ravel() for grid in np.meshgrid(np.log([1, 3, 9.0]), np.log([1, 2, 4.0])))
    loss = 1.7 + 1.2 * np.exp(-0.35 * n) + 0.9 * np.exp(-0.3 * d)
    points = Points(np.zeros(9), np.arange(9.0), n, d, loss)
    law = fit_params_data(points)
    assert [law.floor, law.alpha[0], law.beta[0]] == pytest.approx([1.7, 0.35, 0.3], rel=0.02)
    start = np.array([0.3, -1.2, -1.3, 0.1, -0.2, 0.05, 0.02])
    off = check_grad(lambda p: _objective(p, points)[0], lambda p: _objective(p, points)[1], start)
    assert off < 1e-3 * np.linalg.norm(_objective(start, points)[1])


def test_noise_keeps_the_drift_small_and_precision_lets_it_through():
    x, y = np.array([0.0, 2.0]), np.array([0.2, 0.5])
    noisy, precise = (drift(x, y, np.full(2, variance), 4.0) for variance in (1.0, 1e-6))
    assert noisy.log_gain == pytest.approx(0.35, abs=0.1)
    assert 0.6 < precise.log_gain < 0.85
    assert abs(noisy.slope) < 0.02 < precise.slope
    assert noisy.log_sd > precise.log_sd
