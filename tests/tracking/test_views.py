"""TensorBoard, MLflow and Lightning's CSV show what `curve.csv` holds, once, also for a resumed run."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.record import CURVE_COLUMNS
from algoprog.training.loggers.csv import Csv
from algoprog.training.loggers.interface import RunLabels, finish
from algoprog.training.loggers.mlflow import MLflow
from algoprog.training.loggers.tensorboard import TensorBoard
from tests.tracking.test_rows import ROWS, cut, train

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # inside TensorBoard and MLflow
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*Experiment logs directory.*"),
]
SHOWN = [column for column in CURVE_COLUMNS if column not in ("step", "train_loss")]


def trained_twice(option: Any, folder: Path) -> None:
    """A run that was killed after four rows and resumed from its second."""
    labels = RunLabels(folder, "run", "sweep", "abc", {"variant": "rope", "settings": {"optim": {"lr": 0.1}}})
    first = option(labels)
    train(first, folder, ROWS[:4])
    first.save()
    cut(folder, 2)
    second = option(labels)
    train(second, folder, ROWS[2:])
    finish([second], exit_code=0)


def test_csv(tmp_path: Path) -> None:
    trained_twice(Csv(), tmp_path)
    with (tmp_path / "csv" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for column in ("step", *SHOWN):
        assert [float(row[column]) for row in rows] == [row[column] for row in ROWS]


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained_twice(TensorBoard(), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for column in SHOWN:
        scalars = events.Scalars(column)
        assert [scalar.step for scalar in scalars] == [row["step"] for row in ROWS]
        assert [scalar.value for scalar in scalars] == pytest.approx([row[column] for row in ROWS], rel=1e-6)  # float32


@pytest.mark.slow
def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    trained_twice(MLflow(experiment="algoprog", tracking_uri=None), folder)
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("algoprog")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["variant"] == "rope"
    assert run.data.params["settings.optim.lr"] == "0.1"
    assert run.info.status == "FINISHED"
    for column in SHOWN:
        history = sorted(client.get_metric_history(run.info.run_id, column), key=lambda metric: metric.step)
        assert [metric.step for metric in history] == [row["step"] for row in ROWS]
        assert [metric.value for metric in history] == [row[column] for row in ROWS]


def test_an_mlflow_server_that_is_away_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = "http://me:planted-uri-31c0@127.0.0.1:9"
    trained_twice(MLflow(experiment="algoprog", tracking_uri=address), tmp_path)
    said = capfd.readouterr()
    assert "MLflow cannot be reached" in said.err
    assert "planted-uri-31c0" not in said.out + said.err


@pytest.mark.parametrize(("option", "module"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow")])
def test_a_missing_package_is_one_sentence_with_the_command(
    option: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    with pytest.raises(ValueError, match=rf"pip install 'algoprog\[{option}\]'"):
        TensorBoard() if option == "tensorboard" else MLflow(experiment="x", tracking_uri=None)
