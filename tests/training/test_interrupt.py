"""Signals: a checkpoint first, then the end that the signal asks for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from algoprog.training.interrupt import StopRequest
from tests.training.resuming import checkpoints, finish, result, resumed, said, start, wait_for

LONG = ("budget.steps=100", "evaluation.points=100", "model.dropout=0.3")


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR2, 128 + signal.SIGUSR2, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_loses_nothing(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    """Although no checkpoint was due for a minute."""
    process = start(tmp_path, *LONG)
    wait_for(lambda: n_rows(tmp_path) > 3, process)
    os.kill(process.pid, signum)
    process.join()
    assert process.exitcode == code, said(tmp_path)
    (written,) = checkpoints(tmp_path)
    assert f"stopped by {signum.name} after step {int(written.stem)}" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)
    assert finish(tmp_path, *LONG)[0] == 0
    assert resumed(tmp_path) == [int(written.stem)]


@pytest.mark.slow
def test_a_stopped_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    process = start(tmp_path / "stopped", *LONG, "micro_batch_size=1")
    wait_for(lambda: n_rows(tmp_path / "stopped") > 3, process)
    process.terminate()
    process.join()
    assert finish(tmp_path / "stopped", *LONG, "micro_batch_size=1")[0] == 0
    assert finish(tmp_path / "calm", *LONG, "micro_batch_size=1")[0] == 0
    assert result(tmp_path / "stopped") == result(tmp_path / "calm")


def n_rows(folder: Path) -> int:
    path = folder / "curve.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


def test_who_listened_before_decides() -> None:
    """As submitit does, which requeues its job."""
    heard: list[int] = []
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)}
    try:
        signal.signal(signal.SIGUSR2, lambda signum, frame: heard.append(signum))
        signal.signal(signal.SIGTERM, lambda signum, frame: heard.append(signum))
        request = StopRequest()
        request.listen()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert request.received == [signal.SIGTERM, signal.SIGUSR2]
        assert heard == []
        request.take_effect(5)
        assert heard == [signal.SIGTERM, signal.SIGUSR2]
        assert request.received == []
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def test_a_second_ctrl_c_does_not_wait() -> None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)}
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        request = StopRequest()
        request.listen()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(SystemExit) as end:
            os.kill(os.getpid(), signal.SIGINT)
        assert end.value.code == 130
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
