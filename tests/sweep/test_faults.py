"""Planted faults in real training runs of a real sweep: what it costs, what is told, and which code it exits with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Program
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
