"""Planted faults in real training runs of a real sweep: what it costs, what is told, and which code it exits with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import compute_gains
from algoprog.runs.store import load_runs
from tests.e2e.conftest import TINY, Program

PATH = os.pathsep.join([str(Path(__file__).parent / "planted"), os.environ.get("PYTHONPATH", "")])
KINDS = {
    "exception": "RuntimeError: planted fault of two lines",
    "exit3": "exit code 3",
    "sigkill": "killed by SIGKILL",
    "segfault": "killed by SIGSEGV",
    "memory": "",
}
WORDS = [
    "-m",
    *TINY,
    "budget.steps=6",
    "evaluation.points=6",
    "attention._target_=fault.Fault",
    "+attention.at=8",
    "hydra.launcher.retries=0",
]


@pytest.mark.slow
def test_a_sweep_survives_its_runs(train: Program, tmp_path: Path) -> None:
    kinds = f"+attention.kind={','.join((*KINDS, 'none'))}"
    result = train(*WORDS, kinds, f"hydra.sweep.dir={tmp_path}", PYTHONPATH=PATH)
    assert result.returncode == 1, result.stderr
    failures = [line for line in result.stderr.splitlines() if line.startswith("FAILED: nano")]
    assert len(failures) == len(KINDS)
    for reason in KINDS.values():
        assert any(reason in line for line in failures), failures
    for line in failures:
        assert Path(line.rpartition("see ")[2]).read_text().startswith("=== attempt 1 of")
    gains = compute_gains(curves_from_runs(load_runs(tmp_path)))
    assert {gain.variant for gain in gains} == {"none", "fault"}
    assert "fault" in (tmp_path / "gains.csv").read_text()


@pytest.mark.slow
def test_divergence_is_a_result_and_not_repeated(train: Program, tmp_path: Path) -> None:
    words = [*WORDS, "+attention.kind=spoil", "hydra.launcher.retries=2", f"hydra.sweep.dir={tmp_path}"]
    result = train(*words, PYTHONPATH=PATH)
    assert result.returncode == 0, result.stderr
    (folder,) = tmp_path.glob("*fault*")
    assert (folder / "run.log").read_text().count("=== attempt") == 1
    assert {run.record.status for run in load_runs(tmp_path)} == {"diverged", "finished"}
