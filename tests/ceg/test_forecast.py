"""Forecasts that are written before the large model exists, and scored afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.ladder.forecast_file import read_forecast, score_forecast, write_forecast
from algoprog.ceg.ladder.predict import Prediction, predict
from algoprog.ceg.simulate.ladder import SimulatedLadder

COST = float(6 * 9e7 * 20 * 9e7)  # of the third model's runs


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    ladder, rng = SimulatedLadder(models=3, seeds=2), np.random.default_rng(1)
    return [c for c in ladder.curves(rng, ladder.steps(rng)) if c.variant in ("none", "data")]


@pytest.fixture(scope="module")
def forecast(curves: list[Curve]) -> list[Prediction]:
    return predict([curve for curve in curves if curve.model != "m2"], at=COST)


def test_a_forecast_equals_the_prediction_of_the_same_model_held_out(curves, forecast):
    (row,), (held,) = forecast, predict(curves)
    assert (row.holdout, row.models, row.ceg_observed) == ("larger", ("m0", "m1"), None)
    assert [row.ceg, row.ceg_low, row.loss_high] == pytest.approx([held.ceg, held.ceg_low, held.loss_high])


def test_a_forecast_is_written_once_and_scored_by_what_was_run_since(tmp_path: Path, curves, forecast):
    path = tmp_path / "forecast.json"
    digest = write_forecast(path, forecast, confidence=0.9, baseline="none", at=COST)
    with pytest.raises(ValueError, match="written once"):
        write_forecast(path, forecast, confidence=0.9, baseline="none", at=COST)
    stored = read_forecast(path)
    assert (stored.digest, stored.rows) == (digest, tuple(forecast))
    (row,), (held,) = score_forecast(stored, curves), predict(curves)
    assert (row.holdout, row.ceg, row.ceg_observed) == ("m2", forecast[0].ceg, held.ceg_observed)
    assert [row.error, row.loss_observed] == pytest.approx([held.error, held.loss_observed])
    with pytest.raises(ValueError, match="train it, then score"):
        score_forecast(stored, [curve for curve in curves if curve.model != "m2"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace('"confidence": 0.9', '"confidence": 0.99'), "was changed after it was written"),
        (lambda text: text[: len(text) // 2], "is no forecast"),
        (lambda text: "[1, 2]", "is no forecast"),
        (lambda text: text.replace("algoprog-forecast/1", "algoprog-forecast/9"), "this version reads"),
        (lambda text: json.dumps({**json.loads(text), "note": "added"}), "was changed after it was written"),
    ],
)
def test_a_forecast_that_was_changed_is_refused(tmp_path: Path, forecast, change, says):
    path = tmp_path / "forecast.json"
    write_forecast(path, forecast, confidence=0.9, baseline="none", at=COST)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        read_forecast(path)


def test_a_run_of_another_cost_is_not_what_was_forecast(tmp_path: Path, curves, forecast):
    path = tmp_path / "forecast.json"
    write_forecast(path, forecast, confidence=0.9, baseline="none", at=2 * COST)
    with pytest.raises(ValueError, match="nothing was forecast there"):
        score_forecast(read_forecast(path), curves)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"at": 1.0}, "is not beyond m2"),
        ({"at": 1e30, "holdout": "m1"}, "was run"),
        ({"at": 1e30, "holdout": "rolling"}, "were run"),
        ({"at": 1e30, "law": "params_data"}, "of a model to come are not known"),
    ],
)
def test_what_cannot_be_forecast_is_refused(curves, words, says):
    with pytest.raises(ValueError, match=says):
        predict(curves, **words)
