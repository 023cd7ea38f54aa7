"""The Slurm engine on a real Slurm of two nodes: preemption, time limit, faults, Ctrl-C, DDP."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.status import STOPPED, read_status
from algoprog.runs.store import load_runs
from tests.cluster.conftest import (
    FAIL_FAST,
    NANO,
    PATIENCE,
    SEARCHING,
    TWELVE,
    Environment,
    Sweep,
    assert_searched_alike,
    attempts,
    command,
    outcome,
)
from tests.sweep.faulty import (
    DIVERGING,
    FAULTY,
    NOBODY,
    ONLINE,
    assert_divergence_is_a_result,
    assert_each_fault_cost_its_run_alone,
    assert_logged_offline,
)

pytestmark = pytest.mark.cluster
SLURM = """
    hydra/launcher=slurm hydra.launcher.partition=low hydra.launcher.cpus_per_task=2 hydra.launcher.mem_gb=2
""".split()  # noqa: SIM905 - words as one types them
"""Two processors a run: one run a node."""


def test_a_preempted_sweep_comes_out_as_the_local_one(
    slurm: Environment, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    sweep = Sweep([*TWELVE, *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: len(sweep.training()) == 2)
    command(slurm, "sbatch -p high -w n1 --exclusive -o /dev/null --wrap 'sleep 2'")
    assert sweep.wait() == 0, sweep.said
    assert outcome(sweep.folder) == undisturbed
    assert sorted(attempts(sweep.folder).values()) == [1] * 11 + [2]
    (preempted,) = [run.record for run in load_runs(sweep.folder) if run.record.environment["resumed"]]
    assert preempted.environment["resumed"][0]["step"] >= 20


def test_a_sweep_that_loses_a_node_comes_out_as_the_local_one(
    slurm: Environment, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    sweep = Sweep([*TWELVE, *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: len(sweep.training()) == 2)
    _lose(slurm, "n1")
    try:
        assert sweep.wait() == 0, sweep.said
    finally:
        command(slurm, "slurmd -N n1")  # with ReturnToService=2 that brings the node back
    assert outcome(sweep.folder) == undisturbed
    assert sorted(attempts(sweep.folder).values()) == [1] * 11 + [2]


def test_a_search_and_its_comparison_are_job_arrays_of_one_sweep(
    slurm: Environment, searched: Path, tmp_path: Path
) -> None:
    sweep = Sweep([*SEARCHING, *SLURM], tmp_path / "sweep", slurm)
    assert sweep.wait() == 0, sweep.said
    assert_searched_alike(sweep.folder, searched)
    arrays = {path.name.split("_")[0] for path in (sweep.folder / ".submitit").glob("*_*")}
    assert len(arrays) >= 2, arrays


def test_a_search_that_is_interrupted_goes_on(slurm: Environment, searched: Path, tmp_path: Path) -> None:
    sweep = Sweep([*SEARCHING, *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: len(sweep.training()) == 2)
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.wait() == 130, sweep.said
    _until_empty(slurm)
    again = Sweep([*SEARCHING, *SLURM], tmp_path / "sweep", slurm)
    assert again.wait() == 0, again.said
    assert_searched_alike(again.folder, searched)


def test_a_run_goes_on_after_its_time_limit(slurm: Environment, tmp_path: Path) -> None:
    limit = ["hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=45"]
    words = [*NANO, "budget.steps=1000000", "trainer.checkpoint_steps=null", "trainer.checkpoint_seconds=null", *limit]
    sweep = Sweep([*words, *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: "going on from the checkpoint after step" in _log(sweep))
    reached = int(_log(sweep).split("going on from the checkpoint after step ")[1].split()[0])
    sweep.until(lambda: sweep.training(reached + 1))
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.wait() == 130, sweep.said
    _until_empty(slurm)


def test_a_run_that_fails_costs_only_itself(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*FAULTY, *SLURM], tmp_path / "sweep", slurm)
    assert_each_fault_cost_its_run_alone(sweep.folder, sweep.wait(), sweep.said)


def test_divergence_is_a_result_and_not_repeated(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*DIVERGING, *SLURM], tmp_path / "sweep", slurm)
    assert_divergence_is_a_result(sweep.folder, sweep.wait(), sweep.said)


def test_fail_fast_ends_the_others(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*FAIL_FAST, *SLURM], tmp_path / "sweep", slurm)
    assert sweep.wait() != 0
    assert "exit code 3" in sweep.said
    assert "fail_fast: the other runs are ended" in sweep.said
    _until_empty(slurm)


def test_a_network_that_is_lost_to_wandb_costs_no_run(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*ONLINE, *SLURM], tmp_path / "sweep", {**slurm, **NOBODY})
    assert_logged_offline(sweep.folder, sweep.wait(), sweep.said)


def test_what_slurm_itself_kills_is_told(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*NANO, "budget.steps=100000", *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: sweep.training())
    command(slurm, "scancel --full --signal=KILL -p low -u " + command(slurm, "id -un").strip())
    assert sweep.wait() != 0
    assert "Slurm says" in sweep.said


def test_ctrl_c_cancels_the_jobs_and_keeps_checkpoints(slurm: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*NANO, "budget.steps=100000", "seed=0,1,2", *SLURM], tmp_path / "sweep", slurm)
    sweep.until(lambda: len(sweep.training()) == 2)
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.wait() == 130, sweep.said
    stopped = [path.parent for path in sweep.folder.glob("*/status.json")]
    _until_empty(slurm)
    assert len(stopped) == 2
    assert all(status.state == STOPPED for folder in stopped if (status := read_status(folder)))
    assert all(list((folder / "checkpoints").glob("*.ckpt")) for folder in stopped)


def test_ddp_under_slurm_is_one_run(slurm: Environment, tmp_path: Path) -> None:
    words = [*NANO, "budget.steps=40", "model.dropout=0"]  # each process would draw masks of its own
    two = ["micro_batch_size=2", "trainer.devices=2", "trainer.strategy=ddp", "hydra.launcher.cpus_per_task=1"]
    sweep = Sweep([*words, *SLURM, *two], tmp_path / "sweep", slurm)
    assert sweep.wait() == 0, sweep.said
    (run,) = load_runs(sweep.folder)
    assert run.record.environment["n_devices"] == 2
    single = Sweep(words, tmp_path / "single", {})
    assert single.wait() == 0, single.said
    (alone,) = load_runs(single.folder)
    assert run.record.final_val_loss == pytest.approx(alone.record.final_val_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hydra.launcher.partition=nowhere"], "hydra.launcher.partition=nowhere is not one of Slurm's: high, low"),
        (["trainer.devices=auto"], "must be the same number under Slurm"),
        (["hydra.launcher.mem_gb=9000"], "Slurm refuses the jobs"),
    ],
)
def test_mistakes_are_told_in_a_sentence(slurm: Environment, tmp_path: Path, words: list[str], sentence: str) -> None:
    sweep = Sweep([*NANO, "budget.steps=10", *SLURM, *words], tmp_path / "sweep", slurm)
    assert sweep.wait() == 2, sweep.said
    assert sentence in sweep.said
    assert "Traceback" not in sweep.said


def test_a_silent_sacct_is_told_before_anything_is_submitted(slurm: Environment, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "sacct"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2\nexit 1\n")
    broken.chmod(0o755)
    sweep = Sweep([*NANO, *SLURM], tmp_path / "sweep", {**slurm, "PATH": f"{broken.parent}:{slurm['PATH']}"})
    assert sweep.wait() == 2
    assert "`sacct` does not answer (Slurm accounting storage is disabled)" in sweep.said
    assert not sweep.folder.exists()


def _lose(slurm: Environment, node: str) -> None:
    """What the controller sees of a machine that loses its power: all of it dies at once, and nothing says why."""
    (job,) = command(slurm, f"squeue --noheader --nodelist={node} --format=%A").split()
    daemon = int((Path(slurm["CLUSTER"]) / f"slurmd-{node}.pid").read_text())
    steps = [pid for pid, words, _ in _processes() if words.startswith("slurmstepd") and f"[{job}." in words]
    tasks = [pid for pid, _, variables in _processes() if f"SLURMD_NODENAME={node}" in variables]
    assert steps
    assert tasks
    for pid in (daemon, *steps, *tasks):
        os.kill(pid, signal.SIGKILL)
    command(slurm, f"scontrol update nodename={node} state=down reason=lost")


def _processes() -> Iterator[tuple[int, str, list[str]]]:
    """Number, command line and variables of every process."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (process / "environ").read_bytes().decode(errors="replace").split("\0")
            yield int(process.name), words, variables


def _until_empty(slurm: Environment) -> None:
    deadline = time.monotonic() + PATIENCE * 60
    while time.monotonic() < deadline:
        if not command(slurm, "squeue --noheader"):
            return
        time.sleep(0.5)
    raise AssertionError(command(slurm, "squeue"))


def _log(sweep: Sweep) -> str:
    """What the one run of a sweep printed."""
    return "".join(path.read_text() for path in sweep.folder.glob("*/run.log"))
