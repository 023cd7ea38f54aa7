"""W&B's history has every row of the curve once, whatever was killed, resumed, interrupted or synced in parts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprog.runs.record import CURVE_COLUMNS
from algoprog.runs.store import append_curve
from algoprog.training.loggers.interface import RunLabels
from algoprog.training.loggers.wandb import Wandb, WandbRun, wandb_id
from tests.tracking.standin import HANG_SECONDS, StandIn

NAME = wandb_id("abc", "sweep")
ROWS = [
    {column: (float("nan") if column == "train_loss" and not at else at / 3) for column in CURVE_COLUMNS}
    | {"step": at * 10, "annealed": 0}
    for at in range(6)
]
BRANCHED = [*ROWS[:4], {**ROWS[4], "step": 55, "annealed": 1}, ROWS[5]]
"""An annealed end point stands before rows of smaller steps."""


def logger(folder: Path, mode: str = "online", timeout: float = 5) -> WandbRun:
    labels = RunLabels(folder, "run", "sweep", "abc", {"variant": "rope"})
    made = Wandb(project="algoprog", entity=None, mode=mode, tags=["t"], timeout=timeout)(labels)
    assert isinstance(made, WandbRun)
    return made


def train(made: WandbRun, folder: Path, rows: list[dict[str, float]]) -> None:
    """What the curve's callback does with each row."""
    for row in rows:
        append_curve(folder, row)
        made.log_metrics({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))


def cut(folder: Path, rows: int) -> None:
    """Take the curve back to a checkpoint."""
    lines = (folder / "curve.csv").read_text().splitlines(keepends=True)
    (folder / "curve.csv").write_text("".join(lines[: rows + 1]))


def seen(standin: StandIn) -> list[dict[str, float]]:
    """The history on the server in the columns of the curve, as text, for NaN is not equal to itself."""
    rows = standin.runs[NAME].rows()
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    return [{column: repr(float(row[column])) for column in CURVE_COLUMNS} for row in rows]


def told(rows: list[dict[str, float]]) -> list[dict[str, str]]:
    return [{column: repr(float(row[column])) for column in CURVE_COLUMNS} for row in rows]


def sync(*folders: Path) -> None:
    """`wandb sync` as a user types it."""
    command = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env=dict(os.environ), check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def offline_folders(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


def test_rows_arrive_in_the_order_of_the_curve(standin: StandIn, tmp_path: Path) -> None:
    made = logger(tmp_path)
    train(made, tmp_path, BRANCHED)
    made.close(0, None)
    assert seen(standin) == told(BRANCHED)
    assert standin.runs[NAME].state == "finished"


def test_a_resumed_run_repeats_no_row_and_sends_lost_ones(standin: StandIn, tmp_path: Path) -> None:
    first = logger(tmp_path)
    train(first, tmp_path, ROWS[:4])
    first.close(1, None)
    assert standin.runs[NAME].state == "failed"
    del standin.runs[NAME].history[3]  # killed before the last row was sent; the final summary comes after it
    standin.runs[NAME].summary = {}
    cut(tmp_path, 2)
    second = logger(tmp_path)
    train(second, tmp_path, ROWS[2:])
    second.close(0, None)
    assert seen(standin) == told(ROWS)
    assert standin.runs[NAME].state == "finished"


def test_a_run_resumed_offline_syncs_to_one_history(standin: StandIn, tmp_path: Path) -> None:
    first = logger(tmp_path, "offline")
    train(first, tmp_path, ROWS[:4])
    first.close(1, None)
    cut(tmp_path, 2)
    time.sleep(1.1)  # the folder's name holds seconds
    second = logger(tmp_path, "offline")
    train(second, tmp_path, ROWS[2:])
    second.close(0, None)
    sync(*offline_folders(tmp_path))
    assert seen(standin) == told(ROWS)
    assert standin.runs[NAME].values() == {"variant": "rope"}
    assert standin.runs[NAME].state == "finished"


def test_begun_offline_and_resumed_online(standin: StandIn, tmp_path: Path) -> None:
    first = logger(tmp_path, "offline")
    train(first, tmp_path, ROWS[:4])
    first.close(1, None)
    cut(tmp_path, 2)
    second = logger(tmp_path)
    train(second, tmp_path, ROWS[2:])
    second.close(0, None)
    assert seen(standin) == told(ROWS)
    assert not offline_folders(tmp_path)


@pytest.mark.parametrize("fault", ["500", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_server_that_fails_costs_a_bounded_wait(
    standin: StandIn, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.fault = fault
    started = time.monotonic()
    made = logger(tmp_path, timeout=2)
    train(made, tmp_path, ROWS)
    made.close(0, None)
    assert time.monotonic() - started < HANG_SECONDS / 2
    assert capsys.readouterr().err.count("W&B cannot be reached") == 1
    assert not list((tmp_path / "wandb").glob("run-*"))
    standin.fault = None
    sync(*offline_folders(tmp_path))
    assert seen(standin) == told(ROWS)


def test_without_a_listener_it_logs_offline(
    standin: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.server.shutdown()
    standin.server.socket.close()
    made = logger(tmp_path, timeout=2)
    train(made, tmp_path, ROWS)
    made.close(0, None)
    assert "W&B cannot be reached" in capsys.readouterr().err
    assert len(offline_folders(tmp_path)) == 1


@pytest.mark.parametrize("fault", [pytest.param("500", marks=pytest.mark.slow), "hang"])
def test_a_server_that_stops_in_the_middle_does_not_slow_the_rows(standin: StandIn, tmp_path: Path, fault: str) -> None:
    made = logger(tmp_path, timeout=2)
    standin.fault = fault
    started = time.monotonic()
    train(made, tmp_path, ROWS)
    assert time.monotonic() - started < HANG_SECONDS / 4
    made.close(0, None)
    assert time.monotonic() - started < HANG_SECONDS / 2


def test_the_death_of_wandbs_process_ends_nothing(
    standin: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import psutil

    made = logger(tmp_path)
    train(made, tmp_path, ROWS[:2])
    for child in psutil.Process().children(recursive=True):
        if "wandb-core" in child.name():
            child.kill()
            child.wait()
    train(made, tmp_path, ROWS[2:])
    made.close(0, None)
    assert "algoprog wandb-sync" in capsys.readouterr().err


def test_disabled_leaves_nothing(standin: StandIn, tmp_path: Path) -> None:
    made = logger(tmp_path, "disabled")
    train(made, tmp_path, ROWS)
    made.close(0, None)
    assert not standin.runs
    assert not list(tmp_path.glob("wandb/*run*"))


def test_disabled_deletes_nothing(standin: StandIn, tmp_path: Path) -> None:
    made = logger(tmp_path, "offline")
    train(made, tmp_path, ROWS)
    made.close(0, None)
    (folder,) = offline_folders(tmp_path)
    logger(tmp_path, "disabled").close(0, None)
    assert offline_folders(tmp_path) == [folder]
