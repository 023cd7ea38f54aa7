"""However the launcher ends, it leaves nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algoprog.runs.liveness import is_alive
from algoprog.runs.status import STOPPED, read_status
from tests.sweep.conftest import PATIENCE, wait_until
from tests.warm import heed_signals

LAUNCHER = Path(__file__).parent / "planted" / "launcher.py"


@pytest.mark.parametrize(
    "how", ["SIGTERM", "SIGKILL", *(pytest.param(how, marks=pytest.mark.slow) for how in ("SIGINT", "SIGHUP"))]
)
def test_no_run_outlives_the_launcher(tmp_path: Path, how: str) -> None:
    launcher = subprocess.Popen(
        [sys.executable, str(LAUNCHER), str(tmp_path)], stderr=subprocess.DEVNULL, preexec_fn=heed_signals
    )
    began = [tmp_path / name / "began-1" for name in ("one", "two")]
    wait_until(lambda: all(path.exists() for path in began))
    pids = [int(path.read_text()) for path in began]
    assert all(map(is_alive, pids))
    launcher.send_signal(signal.Signals[how])
    launcher.wait(PATIENCE)
    wait_until(lambda: not any(map(is_alive, pids)))
    if how != "SIGKILL":
        statuses = [read_status(tmp_path / name) for name in ("one", "two")]
        assert [status and status.state for status in statuses] == [STOPPED, STOPPED]


@pytest.mark.slow
def test_nohup_is_respected(tmp_path: Path) -> None:
    launcher = subprocess.Popen(
        [sys.executable, str(LAUNCHER), str(tmp_path)],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    began = tmp_path / "two" / "began-1"
    wait_until(began.exists)
    launcher.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert launcher.poll() is None
    launcher.terminate()
    launcher.wait(PATIENCE)
