"""What `algoprog status` and `algoprog logs` make of the files of a sweep."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from algoprog.cli import main
from algoprog.runs.calls import begin_call, end_call
from algoprog.runs.record import SWEEP_FILE
from algoprog.runs.status import (
    FAILED,
    RUNNING,
    STATUS_FILE,
    STOPPED,
    WAITING,
    Status,
    mark,
    new_status,
    next_attempt,
    read_status,
    write_status,
)
from algoprog.sweep.plan.condition import Condition, announce, condition
from algoprog.sweep.watch.status import ShownRun, SweepView, duration, shortened, table
from tests.report.conftest import Sweep, write_run

LONG = "medium-sparse(pattern=strided)+ln+rope+swiglu+flash-s12345-0123abcd"


def _write(folder: Path, **changes: object) -> Status:
    folder.mkdir(exist_ok=True)
    status = replace(new_status(state=RUNNING, attempt=1, total_steps=100), step=20, val_loss=3.5, **changes)
    write_status(folder, status)
    return status


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    names = ["new", "alive", "dead", "far", "silent", "bad", "again", "ended", "done", "diverged"]
    begin_call(tmp_path, "python train.py -m", {name: [] for name in names})
    _write(tmp_path / "alive", steps_per_second=2.0)
    _write(tmp_path / "dead", pid=2**22 + 1)
    _write(tmp_path / "far", host="elsewhere", pid=2**22 + 1)
    _write(tmp_path / "silent", host="elsewhere", pid=os.getpid())
    old = time.time() - 3600
    os.utime(tmp_path / "silent" / STATUS_FILE, (old, old))
    _write(tmp_path / "bad", state=FAILED, reason="RuntimeError: no")
    _write(tmp_path / "again", state=WAITING)
    _write(tmp_path / "ended", state=STOPPED)
    for name, diverged in (("done", ()), ("diverged", ("ln",))):
        write_run(tmp_path / name, Sweep(diverged=diverged), "nano", "ln", 0, {})
        _write(tmp_path / name)
    return tmp_path


def _states(sweep: Path) -> dict[str, str]:
    return {row.name: row.state for row in SweepView(sweep).rows()}


def test_every_state_is_told_apart(sweep: Path) -> None:
    assert _states(sweep) == {
        "new": "queued",
        "alive": "running",
        "dead": "lost",
        "far": "running",
        "silent": "lost",
        "bad": "failed",
        "again": "queued",
        "ended": "stopped",
        "done": "done",
        "diverged": "diverged",
    }


def test_what_nobody_will_start_is_not_queued(sweep: Path) -> None:
    end_call(sweep)
    states = _states(sweep)
    assert (states["new"], states["again"], states["alive"]) == ("stopped", "stopped", "running")


def test_a_killed_launcher_starts_nothing(sweep: Path) -> None:
    path = sweep / SWEEP_FILE
    path.write_text(path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {2**22 + 1}'))
    assert _states(sweep)["new"] == "stopped"
    path.write_text(path.read_text().replace(socket.gethostname(), "elsewhere"))
    assert _states(sweep)["new"] == "queued"


def test_a_reused_process_id_is_no_sign_of_life(sweep: Path) -> None:
    _write(sweep / "alive", pid=os.getpid())
    before_this_process = 10_000_000
    os.utime(sweep / "alive" / STATUS_FILE, (before_this_process, before_this_process))
    assert _states(sweep)["alive"] == "lost"


def test_slow_steps_are_no_silence(sweep: Path) -> None:
    _write(sweep / "silent", host="elsewhere", steps_per_second=0.001)
    old = time.time() - 3600
    os.utime(sweep / "silent" / STATUS_FILE, (old, old))
    assert _states(sweep)["silent"] == "running"


def test_a_clock_that_is_ahead_does_no_harm(sweep: Path) -> None:
    ahead = time.time() + 3600
    os.utime(sweep / "far" / STATUS_FILE, (ahead, ahead))
    assert _states(sweep)["far"] == "running"


def test_the_row_of_a_running_run(sweep: Path) -> None:
    (row,) = [row for row in SweepView(sweep).rows() if row.name == "alive"]
    assert (row.step, row.total_steps, row.loss, row.steps_per_second, row.seconds_left) == (20, 100, 3.5, 2.0, 40.0)


def test_a_half_written_status_is_passed_over(sweep: Path) -> None:
    (sweep / "alive" / STATUS_FILE).write_text('{"state": "run')
    assert _states(sweep)["alive"] == "queued"


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"status": "finished"}', "\x00"])
def test_a_damaged_record_is_no_result(sweep: Path, content: str) -> None:
    (sweep / "done" / "record.json").write_text(content)
    (row,) = [row for row in SweepView(sweep).rows() if row.name == "done"]
    assert row.state == "damaged"
    assert "cannot be read" in table([row])


@pytest.mark.parametrize("value", ['"x"', "[]", '{"a": 1}'])
def test_values_of_another_type_are_no_status(sweep: Path, value: str) -> None:
    path = sweep / "alive" / STATUS_FILE
    path.write_text(path.read_text().replace('"val_loss": 3.5', f'"val_loss": {value}'))
    assert read_status(sweep / "alive") is None
    assert "10 runs" in table(SweepView(sweep).rows())


def test_the_table_fits_80_columns() -> None:
    row = ShownRun(LONG, "diverged", 123456, 1234567, 10.123, 1234.5, 1e6, "gpu GPU-0123456789", reason="x" * 200)
    text = table([row, replace(row, state="failed"), ShownRun("a\x1b[31mb\n", "queued")])
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert text.count("0123abcd") >= 2
    assert "3 runs: 1 diverged, 1 queued, 1 failed" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (89, "89s"), (90, "2m"), (5399, "90m"), (5400, "1.5h"), (1e6, "11.6d")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_shortened_keeps_both_ends() -> None:
    assert shortened("abcdefghij", 7) == "abcd~ij"


def test_status_command(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(sweep)]) == 0
    assert "10 runs: 1 done, 1 diverged, 2 running, 2 queued, 1 stopped, 1 failed, 2 lost" in capsys.readouterr().out
    assert main(["status", str(sweep), "--format", "json"]) == 0
    assert {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)} == _states(sweep)
    assert main(["status", str(sweep / "new")]) == 2
    assert "is no sweep's folder" in capsys.readouterr().err


def test_the_newest_sweep_is_the_default(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2
    assert "give the sweep's folder" in capsys.readouterr().err
    begin_call(tmp_path / "multirun" / "a", "", {"first": []})
    begin_call(tmp_path / "multirun" / "b" / "c", "", {"second": []})
    assert main(["status"]) == 0
    assert "second" in capsys.readouterr().out


def test_logs_command(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "dead" / "run.log").write_text("hello\n")
    for words in (
        ["dead", "--sweep", str(sweep)],
        ["dea", "--sweep", str(sweep)],
        ["dead", "--sweep", str(sweep), "-f"],
    ):
        assert main(["logs", *words]) == 0
        assert capsys.readouterr().out == "hello\n"
    assert main(["logs", "d", "--sweep", str(sweep)]) == 2
    assert "several runs" in capsys.readouterr().err
    assert main(["logs", "nothing", "--sweep", str(sweep)]) == 2
    assert "begins with nothing" in capsys.readouterr().err


def test_logs_of_a_run_that_died_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.log").write_text("died before it had a configuration\n")
    assert main(["logs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "died before it had a configuration\n"


def test_logs_follow_a_run_until_it_ends(sweep: Path) -> None:
    folder = sweep / "alive"
    _write(folder, pid=os.getpid())
    (folder / "run.log").write_text("one\n")
    code = "import sys, algoprog.cli as c; sys.exit(c.main())"
    words = [sys.executable, "-c", code, "logs", "alive", "--sweep", str(sweep), "-f"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "one\n"
        with (folder / "run.log").open("a") as log:
            log.write("two\n")
        assert reader.stdout.readline() == "two\n"
        mark(folder, FAILED, attempt=1, reason="no")
        assert reader.wait(20) == 0


def test_attempts_are_counted_and_marks_keep_the_progress(tmp_path: Path) -> None:
    assert next_attempt(tmp_path) == 1
    _write(tmp_path)
    assert next_attempt(tmp_path) == 2
    mark(tmp_path, FAILED, attempt=2, reason="killed by SIGKILL")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.attempt, status.step, status.reason) == (FAILED, 2, 20, "killed by SIGKILL")


def test_a_status_never_raises_and_holds_no_nan(tmp_path: Path) -> None:
    write_status(tmp_path / "no" / "such" / "folder", new_status(state=RUNNING, attempt=1))
    _write(tmp_path, train_loss=float("nan"))
    assert json.loads((tmp_path / STATUS_FILE).read_text())["train_loss"] is None


def test_a_full_disk_keeps_the_status_before(tmp_path: Path) -> None:
    before = _write(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        write_status(tmp_path, replace(before, step=21))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_status(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == [STATUS_FILE]


def test_conditions_are_announced(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("new", "begun", "failed", "resumable")}
    for name in ("begun", "failed", "resumable"):
        (folders[name] / "checkpoints").mkdir(parents=True)
        (folders[name] / "config.yaml").write_text("")
    _write(folders["failed"], state=FAILED)
    (folders["begun"] / "checkpoints" / "000000000010.tmp").write_text("")  # killed while it was written
    (folders["resumable"] / "checkpoints" / "000000000010.ckpt").write_text("")
    assert [condition(folder) for folder in folders.values()] == [
        Condition.NEW,
        Condition.INTERRUPTED,
        Condition.FAILED,
        Condition.RESUMABLE,
    ]
    text = announce(folders)
    assert "resumable goes on from its checkpoint" in text
    assert "failed failed before, is tried again" in text
    assert "new" not in text
