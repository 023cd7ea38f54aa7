"""Two processes of one run that somebody else started, as srun does: the first decides, and both end like one run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from algoprog.runs.status import read_status
from algoprog.training.devices.agreement import steps_between
from tests.configs import FLOATING_POINT_ORDER
from tests.training.resuming import LOG_FILE, PATIENCE, checkpoints, result, resumed, said, start, wait_for

WORDS = ("trainer.checkpoint_seconds=null", "trainer.checkpoint_steps=1", "trainer.devices=2", "micro_batch_size=1")
DROPOUT = ("model.dropout=0.3", "norm=ln", "gradient_clip=0.5", "budget.steps=10")
FURTHER = "further.txt"
"""What the second process says."""

STRATEGIES = ("ddp", "fsdp")
Calm = Callable[[str], Any]


def begin(folder: Path, *words: str, faults: dict[str, int] | None = None, first: dict[str, int] | None = None) -> Any:
    """Both processes; `faults` happen in both, those of `first` in the first alone."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    return [
        start(
            folder,
            *WORDS,
            *words,
            faults=(faults or {}) | (first or {} if rank == 0 else {}),
            variables={**meet, "LOCAL_RANK": str(rank)},
            log=LOG_FILE if rank == 0 else FURTHER,
        )
        for rank in (0, 1)
    ]


def end(both: Any) -> list[int | None]:
    for process in both:
        process.join(PATIENCE)
    return [process.exitcode for process in both]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What two processes leave that nobody disturbs."""

    @cache
    def calm(strategy: str) -> Any:
        folder = tmp_path_factory.mktemp("calm")
        assert end(begin(folder, *DROPOUT, f"trainer.strategy={strategy}")) == [0, 0], said(folder)
        return result(folder)

    return calm


@pytest.fixture(params=["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def killed(folder: Path, strategy: str, step: int = 6) -> None:
    words = (*DROPOUT, f"trainer.strategy={strategy}")
    assert end(begin(folder, *words, faults={"step": step})) == [-9, -9], said(folder)
    assert [path.name for path in checkpoints(folder)] == [f"{step - back:012d}.ckpt" for back in (2, 1)]


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(calm: Calm, tmp_path: Path, strategy: str) -> None:
    """Bit for bit, with dropout: every process goes on with its own random numbers."""
    killed(tmp_path, strategy)
    assert end(begin(tmp_path, *DROPOUT, f"trainer.strategy={strategy}")) == [0, 0], said(tmp_path)
    assert resumed(tmp_path) == [5]
    assert result(tmp_path) == calm(strategy)
    assert not checkpoints(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("then", STRATEGIES)
def test_replicas_and_shards_read_each_others_checkpoints(calm: Calm, tmp_path: Path, then: str) -> None:
    before = "fsdp" if then == "ddp" else "ddp"
    killed(tmp_path, before)
    assert end(begin(tmp_path, *DROPOUT, f"trainer.strategy={then}")) == [0, 0], said(tmp_path)
    assert resumed(tmp_path) == [5]
    assert f"with strategy {before}, here {then}" in said(tmp_path)
    rows, _ = result(tmp_path)
    expected, _ = calm(then)
    for name in ("train_loss", "val_loss"):
        ours, theirs = ([float(row[name]) for row in table] for table in (rows, expected))
        assert ours == pytest.approx(theirs, rel=FLOATING_POINT_ORDER, nan_ok=True)


@pytest.mark.slow
def test_the_others_follow_the_first(calm: Calm, tmp_path: Path) -> None:
    """Here it cannot read the newest checkpoint, and they could."""
    killed(tmp_path, "ddp")
    both = begin(tmp_path, *DROPOUT, "trainer.strategy=ddp", first={"unread": 5})
    assert end(both) == [0, 0], said(tmp_path)
    assert "checkpoint after step 4" in said(tmp_path)
    assert resumed(tmp_path) == [4]
    assert result(tmp_path) == calm("ddp")


@pytest.mark.slow
def test_two_starts_at_once_train_once(tmp_path: Path) -> None:
    words = ("budget.steps=60", "trainer.strategy=ddp")
    one = begin(tmp_path, *words)
    wait_for(lambda: checkpoints(tmp_path), one[0])
    os.kill(one[0].pid, signal.SIGSTOP)  # it cannot be done before the other has come
    other = begin(tmp_path, *words)
    wait_for(lambda: "waiting for" in said(tmp_path), other[0])
    os.kill(one[0].pid, signal.SIGCONT)
    assert end(one) == [0, 0]
    assert end(other) == [0, 0]
    assert "is finished already" in said(tmp_path)
    assert resumed(tmp_path) == []


def test_nobody_waits_for_a_first_process_that_died(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        both = begin(tmp_path, "budget.steps=2", "trainer.strategy=ddp")
        wait_for(lambda: "waiting for" in said(tmp_path), both[0])
        time.sleep(1)  # longer than it takes to ask
        assert both[1].is_alive()
        both[0].kill()
        both[1].join(PATIENCE)
    assert both[1].exitcode == 1
    assert "the first process of this run ended before it decided" in said(tmp_path, FURTHER)


@pytest.mark.slow
def test_a_signal_is_answered_before_long_however_slow_the_steps(tmp_path: Path) -> None:
    """Of a second each here; the second process alone hears it."""
    slow = ("batch_size=600", "budget.steps=30", "trainer.checkpoint_steps=null")
    both = begin(tmp_path, "trainer.strategy=ddp", *slow)
    wait_for(lambda: (status := read_status(tmp_path)) and (status.step or 0) >= 2, both[0])
    os.kill(both[1].pid, signal.SIGTERM)
    assert end(both) == [143, 143]
    (written,) = checkpoints(tmp_path)
    assert 2 < int(written.stem) < 10
    assert f"stopped by SIGTERM after step {int(written.stem)}" in said(tmp_path)


def test_looks_follow_the_time_of_a_step() -> None:
    assert [steps_between(seconds) for seconds in (0.0, 0.001, 0.5, 3.0, 60.0)] == [100, 100, 8, 1, 1]


def test_the_first_process_alone_shows_the_curve(tmp_path: Path) -> None:
    """Another would delete its file: events of an earlier start are written anew."""
    pytest.importorskip("tensorboard")
    assert end(begin(tmp_path, "trainer.strategy=ddp", "logger=tensorboard")) == [0, 0], said(tmp_path)
    assert len(list((tmp_path / "tensorboard").glob("events*"))) == 1
