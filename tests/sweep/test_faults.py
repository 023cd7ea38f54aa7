"""Planted faults in real training runs of a real sweep: what it costs, what is told, and which code it exits with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from algoprog.runs.store import load_runs
from tests.e2e.conftest import ROOT, TINY, Program
from tests.sweep.faulty import (
    DIVERGING,
    FAULTY,
    NOBODY,
    ONLINE,
    PLANTED,
    assert_divergence_is_a_result,
    assert_each_fault_cost_its_run_alone,
    assert_logged_offline,
)
from tests.warm import heed_signals

PATH = os.pathsep.join([str(PLANTED), os.environ.get("PYTHONPATH", "")])


@pytest.mark.slow
def test_a_sweep_survives_its_runs(train: Program, tmp_path: Path) -> None:
    result = train("-m", *FAULTY, f"hydra.sweep.dir={tmp_path}", PYTHONPATH=PATH)
    assert_each_fault_cost_its_run_alone(tmp_path, result.returncode, result.stderr)


@pytest.mark.slow
def test_divergence_is_a_result_and_not_repeated(train: Program, tmp_path: Path) -> None:
    result = train("-m", *DIVERGING, f"hydra.sweep.dir={tmp_path}", PYTHONPATH=PATH)
    assert_divergence_is_a_result(tmp_path, result.returncode, result.stderr)


@pytest.mark.slow
def test_a_network_that_is_lost_to_wandb_costs_no_run(train: Program, tmp_path: Path) -> None:
    result = train("-m", *ONLINE, f"hydra.sweep.dir={tmp_path}", **NOBODY)
    assert_logged_offline(tmp_path, result.returncode, result.stderr)


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    words = [*TINY, "budget.steps=6", "seed=0,1", "hydra.sweeper.reuse=null", f"hydra.sweep.dir={tmp_path}"]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sweep:
        assert sweep.stdout is not None
        assert "2 to train" in sweep.stdout.readline()
        sweep.stdout.close()
        assert sweep.stderr is not None
        said = sweep.stderr.read()
        assert sweep.wait(1200) == 0, said
    assert "Traceback" not in said
    assert len(load_runs(tmp_path)) == 2
    assert (tmp_path / "gains.json").exists()


def test_a_sweep_that_finishes_nothing_exits_with_one(train: Program, tmp_path: Path) -> None:
    words = [*TINY, "budget.steps=100000", "hydra.launcher.timeout=0.05", "hydra.launcher.retries=0"]
    result = train("-m", *words, f"hydra.sweep.dir={tmp_path}", "hydra.sweeper.reuse=null")
    assert result.returncode == 1
    assert "no run has finished: there is nothing to analyse" in result.stderr
    assert "timed out" in result.stderr


@pytest.mark.slow
def test_ctrl_c_before_the_first_run_is_told_by_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "train.py"), "-m", *TINY, f"hydra.sweep.dir={tmp_path}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, preexec_fn=heed_signals, **pipes) as sweep:
        assert sweep.stderr is not None
        for line in sweep.stderr:  # one for each module
            if line.rstrip().endswith("algoprog.sweep.plan.specs"):
                break
        sweep.send_signal(signal.SIGINT)
        said = sweep.stderr.read()
        assert sweep.wait(600) == 130, said
    assert "Traceback" not in said
