"""The Ray engine on a real Ray of two nodes: a node that dies, faults, time-out, Ctrl-C, parts of a GPU."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.liveness import is_alive
from algoprog.runs.status import STOPPED, read_status
from tests.cluster.conftest import (
    FAIL_FAST,
    NANO,
    SEARCHING,
    TWELVE,
    Environment,
    Sweep,
    assert_searched_alike,
    attempts,
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
RAY = ["hydra/launcher=ray", "hydra.launcher.address=auto"]


def test_a_sweep_that_loses_a_node_comes_out_as_the_local_one(
    ray: Environment, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    sweep = Sweep([*TWELVE, *RAY], tmp_path / "sweep", ray)
    sweep.until(lambda: len(sweep.training()) == 2)
    os.kill(_raylet(ray, "node"), signal.SIGKILL)
    assert sweep.wait() == 0, sweep.said
    assert outcome(sweep.folder) == undisturbed
    assert sorted(attempts(sweep.folder).values()) == [1] * 11 + [2]


def test_a_search_and_its_comparison_come_out_as_the_local_ones(
    ray: Environment, searched: Path, tmp_path: Path
) -> None:
    sweep = Sweep([*SEARCHING, *RAY], tmp_path / "sweep", ray)
    assert sweep.wait() == 0, sweep.said
    assert_searched_alike(sweep.folder, searched)


def test_a_run_that_fails_costs_only_itself(ray: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*FAULTY, *RAY], tmp_path / "sweep", ray)
    assert_each_fault_cost_its_run_alone(sweep.folder, sweep.wait(), sweep.said)


def test_divergence_is_a_result_and_not_repeated(ray: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*DIVERGING, *RAY], tmp_path / "sweep", ray)
    assert_divergence_is_a_result(sweep.folder, sweep.wait(), sweep.said)


def test_fail_fast_ends_the_others(ray: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*FAIL_FAST, *RAY], tmp_path / "sweep", ray)
    assert sweep.wait() != 0
    assert "exit code 3" in sweep.said
    assert "fail_fast: the other runs are ended" in sweep.said


def test_a_network_that_is_lost_to_wandb_costs_no_run(ray: Environment, tmp_path: Path) -> None:
    passed = f"hydra.launcher.environment=[ALGOPROG_CACHE,PYTHONPATH,{','.join(NOBODY)}]"
    sweep = Sweep([*ONLINE, *RAY, passed], tmp_path / "sweep", {**ray, **NOBODY})
    assert_logged_offline(sweep.folder, sweep.wait(), sweep.said)


def test_ctrl_c_ends_the_runs_with_checkpoints(ray: Environment, tmp_path: Path) -> None:
    sweep = Sweep([*NANO, "budget.steps=100000", "seed=0,1,2", *RAY], tmp_path / "sweep", ray)
    sweep.until(lambda: len(sweep.training()) == 2)
    pids = [status.pid for status in sweep.training()]
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.wait() == 130, sweep.said
    assert not any(map(is_alive, pids))
    stopped = [path.parent for path in sweep.folder.glob("*/status.json")]
    assert [status.state for folder in stopped if (status := read_status(folder))] == [STOPPED, STOPPED]
    assert all(list((folder / "checkpoints").glob("*.ckpt")) for folder in stopped)


def test_a_ray_of_this_machine_ends_overdue_runs(tmp_path: Path) -> None:
    limit = ["hydra.launcher.timeout=0.5", "hydra.launcher.retries=0"]
    words = [*NANO, "budget.steps=100000", "hydra/launcher=ray", *limit]
    sweep = Sweep(words, tmp_path / "sweep", {})
    assert sweep.wait() == 1, sweep.said
    assert "timed out after 0.5" in sweep.said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hydra.launcher.num_gpus=1.5"], "hydra.launcher.num_gpus=1.5 must be a number: a part of one GPU"),
        (["hydra.launcher.num_gpus=0.5"], "no node of the Ray cluster has both"),
        (["hydra.launcher.address=127.0.0.9:9"], "no Ray cluster answers at hydra.launcher.address=127.0.0.9:9"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    sweep = Sweep([*NANO, "budget.steps=10", "hydra/launcher=ray", *words], tmp_path / "sweep", {})
    assert sweep.wait() == 2, sweep.said
    assert sentence in sweep.said
    assert "Traceback" not in sweep.said


def _raylet(ray: Environment, name: str) -> int:
    """The process of a node's raylet."""
    session = int((Path(ray["CLUSTER"]) / f"{name}.session").read_text())
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() == "raylet\n" and os.getsid(int(process.name)) == session:
                return int(process.name)
        except OSError:
            continue
    raise AssertionError(f"no raylet in session {session}")
