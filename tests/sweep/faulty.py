"""A sweep of runs that go wrong in training, each in its own way, and what must come of it on every engine."""

from __future__ import annotations

from pathlib import Path

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import compute_gains
from algoprog.runs.record import LOG_FILE
from algoprog.runs.status import FAILED, read_status
from algoprog.runs.store import load_runs
from tests.e2e.conftest import TINY

PLANTED = Path(__file__).parent / "planted"

FAILURES = {
    "exception": "RuntimeError: raised in fate.py",
    "exit3": "exit code 3",
    "sigkill": "killed by SIGKILL",
    "segfault": "killed by SIGSEGV",
    "memory": "",  # torch or Python, whichever asks first
    "disk": "(File too large): allow larger files",
    "sleep": "timed out after 0.5",
}

_RUNS = [
    *TINY,
    "budget.steps=6",
    "evaluation.points=6",
    "attention._target_=fault.Fault",
    "+attention.at=8",
    "hydra.launcher.timeout=0.5",
    "hydra.sweeper.reuse=null",
]
FAULTY = [*_RUNS, f"+attention.kind={','.join((*FAILURES, 'none'))}", "hydra.launcher.retries=0"]
"""The baseline, a run for each way to fail, and one that goes well."""

DIVERGING = [*_RUNS, "+attention.kind=spoil", "hydra.launcher.retries=2"]
"""The baseline, and a run whose loss becomes NaN."""

NOBODY = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "x" * 40}
"""A W&B server that does not answer."""

ONLINE = [*TINY, "budget.steps=6", "logger=wandb", "logger.mode=online", "logger.timeout=5", "hydra.sweeper.reuse=null"]


def assert_each_fault_cost_its_run_alone(folder: Path, code: int, said: str) -> None:
    """The failed runs are told with reason and log, the others are recorded, and gains are computed from them."""
    assert code == 1, said
    told = [line for line in said.splitlines() if line.startswith("FAILED: nano")]
    assert len(told) == len(FAILURES), said
    for reason in FAILURES.values():
        assert any(reason in line for line in told), told
    for line in told:
        log = Path(line.rpartition("see ")[2])
        assert log.name == LOG_FILE
        assert log.read_text().startswith("=== attempt 1 of")
        status = read_status(log.parent)
        assert status is not None
        assert status.state == FAILED
    runs = load_runs(folder)
    assert [run.record.status for run in runs] == ["finished", "finished"]
    assert {gain.variant for gain in compute_gains(curves_from_runs(runs))} == {"none", "fault"}
    assert "fault" in (folder / "gains.csv").read_text()


def assert_divergence_is_a_result(folder: Path, code: int, said: str) -> None:
    """It is recorded, not repeated, and no failure."""
    assert code == 0, said
    (diverged,) = [run for run in load_runs(folder) if run.record.status == "diverged"]
    assert (diverged.path / LOG_FILE).read_text().count("=== attempt") == 1
    assert len(load_runs(folder)) == 2


def assert_logged_offline(folder: Path, code: int, said: str) -> None:
    """The network that is not there costs no run, and its rows wait on the disk."""
    assert code == 0, said
    (run,) = load_runs(folder)
    assert "logging offline" in (run.path / LOG_FILE).read_text()
    assert list(run.path.glob("wandb/offline-run-*/*.wandb"))
