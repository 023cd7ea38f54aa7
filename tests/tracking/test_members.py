"""Members of one process are W&B runs of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from algoprog.runs.record import CURVE_COLUMNS, Record
from algoprog.runs.store import read_curve
from algoprog.training.loggers.wandb import wandb_id
from tests.tracking.standin import StandIn
from tests.training.grouped import together


@pytest.mark.slow
def test_every_member_sends_its_own_rows(standin: StandIn, tmp_path: Path) -> None:
    runs = {"first": ("seed=0", "optim.lr=1e-3"), "bad": ("seed=1", "optim.lr=1e6"), "third": ("seed=1",)}
    records = together(tmp_path, runs, "budget.steps=12", "logger=wandb", "logger.mode=online", "logger.timeout=60")
    for name, record in records.items():
        assert isinstance(record, Record)
        kept = standin.runs[wandb_id(record.run_id, tmp_path.name)]
        curve = read_curve(tmp_path / name / "curve.csv")
        assert [row["val_loss"] for row in kept.rows()] == pytest.approx(list(curve["val_loss"]), nan_ok=True)
        assert [row["step"] for row in kept.rows()] == list(curve["step"])
        assert set(CURVE_COLUMNS) <= kept.rows()[-1].keys()
        assert (kept.state, kept.values()["status"]) == ("finished", record.status)
