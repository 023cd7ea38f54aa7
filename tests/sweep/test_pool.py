"""Every way in which a process can end, with real processes."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import forkserver
from pathlib import Path

import pytest

from algoprog.runs.liveness import is_alive
from algoprog.runs.status import FAILED, STOPPED, read_status
from algoprog.sweep.engine import process
from tests.sweep.conftest import Run, wait_until

DEATHS = {
    "exception": "RuntimeError: raised in fate.py, line 22 (meet)",
    "exit3": "exit code 3",
    "exit0": "ended without a record",
    "sigkill": "killed by SIGKILL (out of memory?)",
    "segfault": "killed by SIGSEGV",
    "memory": "MemoryError: raised in fate.py, line 36 (meet)",
}


def test_every_death_costs_only_its_run(run: Run, tmp_path: Path) -> None:
    faults, _ = run(**{kind: f"{kind} 9" for kind in DEATHS}, good="none 0")
    assert faults.pop("good") is None
    assert {kind: (fault or "").split(": attempt")[0] for kind, fault in faults.items()} == DEATHS
    for kind in DEATHS:
        status = read_status(tmp_path / kind)
        assert status is not None
        assert (status.state, status.attempt) == (FAILED, 1)
        assert (status.reason or "").startswith(DEATHS[kind])


@pytest.mark.parametrize("kind", ["exception", "exit3", "sigkill", "segfault"])
def test_a_fault_that_passes_is_retried(run: Run, tmp_path: Path, kind: str) -> None:
    faults, spoken = run(retries=1, run=f"{kind} 1")
    assert faults == {"run": None}
    assert len(spoken.lines) == 1
    log = (tmp_path / "run" / "run.log").read_text()
    assert log.count("=== attempt") == 2
    assert "attempt 1 sees" in log
    assert "attempt 2 sees" in log


def test_a_run_is_told_how_many_train_beside_it(run: Run, tmp_path: Path) -> None:
    run(shares=3, first="none 0", second="none 0")
    run(shares=2, alone="none 0")
    logs = {name: (tmp_path / name / "run.log").read_text() for name in ("first", "second", "alone")}
    assert " beside 1\n" in logs["first"]
    assert " beside 1\n" in logs["second"]
    assert " beside 0\n" in logs["alone"]


def test_the_stack_of_a_segfault_is_in_the_log(run: Run, tmp_path: Path) -> None:
    run(run="segfault 9")
    log = (tmp_path / "run" / "run.log").read_text()
    assert "Fatal Python error: Segmentation fault" in log
    assert "fate.py" in log


def test_a_secret_in_an_exception_stays_out_of_the_log(run: Run, tmp_path: Path) -> None:
    faults, _ = run(run="secret 9")
    assert faults["run"] == "RuntimeError: raised in fate.py, line 26 (meet)"
    log = (tmp_path / "run" / "run.log").read_text()
    assert "logged in with ***" in log
    assert "RuntimeError: no access with ***" in log
    assert (tmp_path / "run" / "run.log").stat().st_mode & 0o777 == 0o600
    assert not [path for path in (tmp_path / "run").iterdir() if b"planted-0f5d7c" in path.read_bytes()]


def test_retries_have_a_limit(run: Run, tmp_path: Path) -> None:
    faults, _ = run(retries=2, run="sigkill 9")
    assert faults["run"] is not None
    assert len(list((tmp_path / "run").glob("began-*"))) == 3


def test_a_mistake_of_the_user_is_not_retried(run: Run, tmp_path: Path) -> None:
    faults, _ = run(retries=2, run="exit2 9")
    assert (faults["run"] or "").startswith("exit code 2")
    assert len(list((tmp_path / "run").glob("began-*"))) == 1


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs count for runs that have begun to go wrong alone: on a busy machine others take long, too."""
    real = process.RunProcess.end_overdue

    def end_overdue(attempt: process.RunProcess, timeout: float | None) -> None:
        if (attempt.job.folder / f"wrong-{attempt.process.pid}").exists():
            real(attempt, timeout)

    monkeypatch.setattr(process.RunProcess, "end_overdue", end_overdue)


@pytest.mark.usefixtures("patient")
def test_a_hanging_run_is_ended_and_retried(run: Run) -> None:
    faults, spoken = run(retries=1, timeout=0.1, once="sleep 1", always="sleep 9", good="none 0")
    assert faults["once"] is None
    assert faults["good"] is None
    assert "timed out after" in (faults["always"] or "")
    assert sum("timed out" in line for line in spoken.lines) == 2


@pytest.mark.usefixtures("patient")
def test_a_run_that_ignores_sigterm_is_killed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 1.0)
    faults, _ = run(timeout=0.1, deaf="deaf 9")
    assert "timed out" in (faults["deaf"] or "")


def test_what_a_dead_run_started_is_ended(run: Run, tmp_path: Path) -> None:
    run(run="orphan 9")
    wait_until(lambda: not is_alive(int((tmp_path / "run" / "orphan.pid").read_text())))


def test_fail_fast_ends_the_others(run: Run, tmp_path: Path) -> None:
    faults, _ = run(fail_fast=True, slow="sleep 9", bad="late 9", never="none 0")
    assert "fail_fast" in (faults["slow"] or "")
    assert "fail_fast" in (faults["never"] or "")
    assert not (tmp_path / "never").exists()
    assert not is_alive(int((tmp_path / "slow" / "began-1").read_text()))


def test_a_fork_server_of_whose_death_nobody_knows_yet_costs_no_attempt(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = forkserver.connect_to_new_process, iter([ConnectionRefusedError, BrokenPipeError, EOFError])

    def connect(fds: list[int]) -> object:
        for refusal in refusals:
            raise refusal
        return real(fds)

    monkeypatch.setattr(forkserver, "connect_to_new_process", connect)
    faults, spoken = run(retries=0, run="none 0")
    assert faults == {"run": None}
    assert not spoken.lines


def test_an_interrupt_at_the_start_finds_the_process(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the launcher would wait at its own end for a run that waits for the end of the launcher."""
    real = process.RunProcess.start

    def start(attempt: process.RunProcess) -> None:
        real(attempt)
        wait_until((tmp_path / "run" / "began-1").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(process.RunProcess, "start", start)
    with pytest.raises(KeyboardInterrupt):
        run(run="sleep 9")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status.state == STOPPED
    assert not is_alive(int((tmp_path / "run" / "began-1").read_text()))


def test_what_keeps_a_process_from_starting_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(fds: list[int]) -> object:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(forkserver, "connect_to_new_process", connect)
    faults, _ = run(retries=1, run="none 0")
    assert "not started" in (faults["run"] or "")
    assert "Too many open files" in (faults["run"] or "")
    status = read_status(tmp_path / "run")
    assert status is not None
    assert status.state == FAILED


@pytest.mark.slow
def test_the_fork_server_is_restarted(run: Run, tmp_path: Path) -> None:
    server = forkserver._forkserver

    def kill() -> None:
        wait_until((tmp_path / "run" / "began-1").exists)
        os.kill(server._forkserver_pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    faults, spoken = run(retries=1, shares=1, run="sleep 1", after="none 0")
    killer.join()
    assert faults == {"run": None, "after": None}
    assert "the fork server died" in spoken.lines[0]
    assert not is_alive(int((tmp_path / "run" / "began-1").read_text()))
