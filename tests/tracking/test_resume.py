"""A run that is killed with SIGKILL and started again has one W&B run with every row once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprog.runs.record import CURVE_COLUMNS
from algoprog.runs.store import load_run
from tests.e2e.conftest import ROOT, TINY
from tests.tracking.standin import StandIn
from tests.tracking.test_rows import sync

pytestmark = pytest.mark.slow
WORDS = [*TINY, "budget.steps=400", "evaluation.points=40", "trainer.checkpoint_steps=20", "logger=wandb"]
WALL_CLOCK = ("seconds",)


def begin(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "train.py"), *WORDS, *words, f"hydra.run.dir={folder}"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ})


def rows(folder: Path) -> int:
    curve = folder / "curve.csv"
    return len(curve.read_text().splitlines()) if curve.exists() else 0


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_killed_and_resumed(standin: StandIn, tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "sweep" / "run"
    first = begin(folder, f"logger.mode={mode}")
    deadline = time.monotonic() + 600
    while (
        not (rows(folder) >= 12 and list((folder / "checkpoints").glob("*.ckpt")))
        and first.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert not (folder / "record.json").exists()
    assert begin(folder, f"logger.mode={mode}").wait(600) == 0
    if mode == "offline":
        sync(*(folder / "wandb").glob("offline-run-*"))
    (stored,) = standin.runs.values()
    own = load_run(folder).curve
    found = stored.rows()
    assert [row["_step"] for row in found] == list(range(len(own["step"])))
    for column in set(CURVE_COLUMNS) - set(WALL_CLOCK):
        assert repr([float(row[column]) for row in found]) == repr(own[column].tolist())
    assert stored.state == "finished"
    assert "going on from the checkpoint" in (folder / "train.log").read_text()
