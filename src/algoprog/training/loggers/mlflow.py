"""`logger=mlflow`: one MLflow run for every run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from filelock import FileLock
from lightning.pytorch.loggers import Logger, MLFlowLogger
from lightning.pytorch.loggers.logger import DummyLogger

from algoprog.runs.record import Record
from algoprog.runs.secrets import redacted
from algoprog.tracking.session import say
from algoprog.training.loggers.interface import RunLabels, columns, flat, replay, require

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

IDENTITY = "algoprog.id"
"""Tag by which a resumed run finds its MLflow run."""


class MLflow:
    """One MLflow run for every run; a resumed run continues its own.

    Args:
        experiment: MLflow experiment.
        tracking_uri: server or store; None takes MLFLOW_TRACKING_URI, else the folder `mlruns` beside the run.

    Raises:
        ValueError: MLflow is not installed.
    """

    def __init__(self, *, experiment: str, tracking_uri: str | None) -> None:
        require("mlflow", "mlflow")
        self.experiment, self.tracking_uri = experiment, tracking_uri

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run; one that logs nothing where MLflow does not answer."""
        for name, value in {"ALLOW_FILE_STORE": "true", "HTTP_REQUEST_MAX_RETRIES": "1"}.items():
            os.environ.setdefault(f"MLFLOW_{name}", value)
        store = labels.folder.resolve().parent / "mlruns"
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or store.as_uri()
        try:
            return self._logger(labels, uri)
        except Exception as error:  # a server that does not answer must not stop the training
            say(f"MLflow cannot be reached ({type(error).__name__} at {redacted(uri)}): the run goes on without it")
            return DummyLogger()

    def _logger(self, labels: RunLabels, uri: str) -> Logger:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(uri)
        with FileLock(labels.folder.parent / ".mlflow.lock"):  # runs that start together share one experiment
            found = client.get_experiment_by_name(self.experiment)
            experiment = found.experiment_id if found else client.create_experiment(self.experiment)
        run_id, rows = _run(client, experiment, labels)
        return replay(MLflowRun(self.experiment, uri, run_id, rows), labels.rows())


class MLflowRun(MLFlowLogger):
    """Passes over the rows of a resumed run that MLflow has."""

    def __init__(self, experiment: str, uri: str, run_id: str, rows: int) -> None:
        super().__init__(experiment_name=experiment, tracking_uri=uri, run_id=run_id)
        self.row, self.wanted, self.lost = 0, rows, False

    # Lightning takes any mapping and calls it with this one.
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        """Send one row, unless MLflow has it."""
        if self.row >= self.wanted and not self.lost:
            try:
                super().log_metrics(metrics, step)
            except Exception as error:
                self.lost = True
                say(f"MLflow stopped answering ({type(error).__name__}): the run goes on without it")
        self.row += 1

    def finalize(self, status: str = "success") -> None:
        """Nothing yet: `close` ends the run, when its results are known."""

    def close(self, exit_code: int, record: Record | None) -> None:
        """End the MLflow run with the results as tags."""
        if self.lost:
            return
        try:
            for name, value in (columns(record) if record else {}).items():
                self.experiment.set_tag(self.run_id, name, value)
            super().finalize("success" if exit_code == 0 else "failed")
        except Exception as error:
            say(f"MLflow does not answer ({type(error).__name__}): the end of the run is not shown there")


def _run(client: MlflowClient, experiment: str, labels: RunLabels) -> tuple[str, int]:
    """MLflow's id of the run and how many rows it has, made now if it is new."""
    identity = f"{labels.group}/{labels.run_id}"
    runs = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{identity}'")
    if runs:
        run_id = str(runs[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id, len(client.get_metric_history(run_id, "val_loss"))
    tags = {IDENTITY: identity, "mlflow.runName": labels.name, "sweep": labels.group}
    run_id = str(client.create_run(experiment, tags=tags).info.run_id)
    for name, value in flat(labels.config).items():
        client.log_param(run_id, name.replace("(", "").replace(")", ""), str(value)[:500])
    return run_id, 0
