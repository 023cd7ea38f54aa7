"""Send finished runs to W&B from their records: whatever was lost, interrupted or never online, each row once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from algoprog.config import read_config
from algoprog.runs.record import CURVE_FILE, Record, Run
from algoprog.runs.store import load_runs, sweep_name
from algoprog.sweep.finish.summary_run import account
from algoprog.tracking.session import Account, say
from algoprog.training.loggers.interface import RunLabels
from algoprog.training.loggers.wandb import Wandb, WandbRun


def sync(folder: Path) -> int:
    """Send every finished run below a folder; W&B says which rows it has, so they are not sent again.

    Raises:
        ValueError: there is no finished run, no key, a damaged configuration, or W&B does not answer.
    """
    runs = load_runs(folder)
    if not runs:
        raise ValueError(f"{folder} holds no finished run (no record.json): name a run's or a sweep's folder")
    for run in runs:
        _send(run)
    return len(runs)


def columns(record: Record) -> dict[str, Any]:
    """What dashboards group by, from the record; the same as while training."""
    return {
        "variant": record.variant,
        **record.axes,
        "model": record.model,
        "seed": record.seed,
        "role": record.role,
        "run_id": record.run_id,
        "cohort": record.cohort,
        **{key: record.environment.get(key) for key in ("git_commit", "git_dirty")},
        "n_params": record.n_params,
        "train_flops_per_token": record.train_flops_per_token,
    }


def _send(run: Run) -> None:
    settings = {key: value for key, value in read_config(run.path).items() if key != "logger"}
    found = account(run)
    where, tags = found or (Account("algoprog", None, "auto", 20), [])
    where = replace(where, mode="online")
    labels = RunLabels(
        folder=run.path,
        name=run.path.name,
        group=sweep_name(run.path.parent),
        run_id=run.record.run_id,
        config={**columns(run.record), "settings": settings},
        role=run.record.role,
    )
    view = Wandb(project=where.project, entity=where.entity, mode="online", tags=tags, timeout=where.timeout)(labels)
    assert isinstance(view, WandbRun)
    view.close(0, run.record)
    if view.run.offline:
        raise ValueError(f"W&B did not answer, so {run.path} was not sent: try again, or `wandb sync` its wandb folder")
    say(f"{run.path.name}: {len(run.curve['step'])} rows of {CURVE_FILE} are on W&B")
