"""Two programs never write one run: the second waits and finds it done, or is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from algoprog.run import app, fit
from algoprog.training.state.lock import FolderTakenError
from tests.configs import TINY_RUN
from tests.training.resuming import EVERY_STEP, PATIENCE, checkpoints, finish, result, resumed, said, start, wait_for

LONG = ("budget.steps=80", *EVERY_STEP)


def test_another_run_in_use_is_refused_and_left_alone(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    fit.run(app.prepare(compose(*TINY_RUN)), tmp_path, [])
    before = (tmp_path / "record.json").read_bytes()
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another program is writing another run"):
        fit.run(app.prepare(compose(*TINY_RUN, "seed=1")), tmp_path, [])
    assert (tmp_path / "record.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{{{:", "- 1\n", "\x00"])
def test_a_damaged_configuration_of_a_run_in_use_is_named(
    compose: Callable[..., dict[str, Any]], tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with FileLock(tmp_path / ".lock"), pytest.raises(FolderTakenError, match=r"config\.yaml .*: move its folder away"):
        fit.run(app.prepare(compose(*TINY_RUN)), tmp_path, [])


@pytest.mark.slow
def test_the_same_run_started_twice_is_trained_once(tmp_path: Path) -> None:
    first = start(tmp_path, *LONG)
    wait_for(lambda: checkpoints(tmp_path), first)
    os.kill(first.pid, signal.SIGSTOP)  # it cannot be done before the second has come
    second = start(tmp_path, *LONG)
    wait_for(lambda: "waiting for" in said(tmp_path), second)
    os.kill(first.pid, signal.SIGCONT)
    first.join()
    second.join()
    assert (first.exitcode, second.exitcode) == (0, 0)
    assert said(tmp_path).count("waiting for the program that is training this run") == 1
    assert "is finished already" in said(tmp_path)
    assert resumed(tmp_path) == []


@pytest.mark.slow
def test_who_waits_goes_on_where_a_killed_program_stopped(tmp_path: Path) -> None:
    first = start(tmp_path / "one", *LONG)
    wait_for(lambda: checkpoints(tmp_path / "one"), first)
    os.kill(first.pid, signal.SIGSTOP)  # it cannot be done before the second has come
    second = start(tmp_path / "one", *LONG)
    wait_for(lambda: "waiting for" in said(tmp_path / "one"), second)
    first.kill()
    second.join()
    assert second.exitcode == 0
    assert len(resumed(tmp_path / "one")) == 1
    assert finish(tmp_path / "two", *LONG)[0] == 0
    assert result(tmp_path / "one") == result(tmp_path / "two")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)])
def test_a_wait_can_be_ended(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    with FileLock(tmp_path / ".lock"):
        process = start(tmp_path, *LONG)
        wait_for(lambda: "waiting for" in said(tmp_path), process)
        os.kill(process.pid, signum)
        process.join(PATIENCE)
    assert process.exitcode == code
    assert not (tmp_path / "config.yaml").exists()
