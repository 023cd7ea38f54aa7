"""As many runs at a time as memory takes, and a sentence for what it does not take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from algoprog.cli import main
from algoprog.sweep.engine.local import Local
from algoprog.training.devices.free_memory import VARIABLE
from tests.configs import TINY_RUN
from tests.e2e.conftest import ROOT, Program, train  # noqa: F401 - a fixture
from tests.sweep.test_settings import KNOBS

WORDS = (*TINY_RUN, "micro_batch_size=auto", "norm=ln", "hydra.launcher.runs=4", "seed=0,1,2")


def planned(capsys: pytest.CaptureFixture[str], records: Path, *words: str) -> dict[str, Any]:
    main(["plan", *WORDS, *words, "--records", str(records), "--format", "json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("memory", "at_once"), [(1e12, 4), (2.4, 2), (1.6, 1)])
def test_runs_go_on_at_a_time_as_memory_allows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, memory: float, at_once: int
) -> None:
    one = planned(capsys, tmp_path)["totals"]["memory_bytes"]
    found = planned(capsys, tmp_path, f"hydra.launcher.memory={memory * one}")
    assert (found["at_once"], found["goes"]) == (at_once, True)
    assert found["totals"]["memory_bytes"] * at_once <= memory * one


@pytest.mark.slow
def test_a_batch_is_cut_so_that_the_cores_are_busy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("model.seq_len=1024", "model.d_model=64", "model.n_heads=16", "batch_size=64", "evaluation.tokens=1024")
    whole = planned(capsys, tmp_path, *words, "hydra.launcher.memory=1e12")
    assert {run["micro_batch_size"] for run in whole["runs"]} == {64}
    memory = 2 * whole["totals"]["memory_bytes"]
    found = planned(capsys, tmp_path, *words, f"hydra.launcher.memory={memory}")
    assert found["at_once"] == 4
    assert {run["micro_batch_size"] for run in found["runs"]} == {16}
    assert [run["run_id"] for run in found["runs"]] == [run["run_id"] for run in whole["runs"]]


def test_what_does_not_fit_is_refused_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str],
    train: Program,  # noqa: F811
    tmp_path: Path,
) -> None:
    found = planned(capsys, tmp_path, "hydra.launcher.memory=1e8")
    assert not found["goes"]
    assert {line["reason"].split(" needs ")[0] for line in found["refused"]} == {
        f"{variant} of nano(n_layers=1,d_model=16,seq_len=32)" for variant in ("none", "ln")
    }
    result = train("-m", *WORDS, "hydra.launcher.memory=1e8", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert result.returncode == 2
    assert "and no other run beside it, and 0.1 GB are free: use a smaller model" in result.stderr
    assert not list(tmp_path.glob("sweep/*/config.yaml"))


@pytest.mark.slow
def test_a_finished_sweep_needs_no_memory(
    train: Program,  # noqa: F811
    tmp_path: Path,
) -> None:
    words = ("-m", *TINY_RUN, "budget.steps=2", "~hydra.callbacks.gains", f"hydra.sweep.dir={tmp_path}")
    assert train(*words).returncode == 0
    result = train(*words, "hydra.launcher.memory=1e8")
    assert result.returncode == 0, result.stderr


def test_the_engine_gives_each_run_its_part(tmp_path: Path) -> None:
    engine = Local({**KNOBS, "gpus": [], "runs": 4, "memory": 8e9})
    assert [share[VARIABLE] for share in engine._shares(tmp_path, 9)] == ["2000000000"] * 4
    engine.limit(3, 2.5e9)
    assert [share[VARIABLE] for share in engine._shares(tmp_path, 9)] == ["2500000000"] * 3


@pytest.mark.slow
def test_the_own_line_of_a_user_fits_16_gib_and_not_4(
    train: Program,  # noqa: F811
    tmp_path: Path,
) -> None:
    # A quarter of the batch as typed: what memory has to hold is a micro-batch, and a step of 16 takes minutes.
    words = ["-m", "attention=mqa,sparse", "model=compact,full", "batch_size=4", "budget.steps=2"]
    words.append("evaluation.tokens=1024")
    small = train(*words, f"hydra.launcher.memory={4 * 2**30}", f"hydra.sweep.dir={tmp_path / 'small'}")
    assert small.returncode == 2
    assert "none of full needs" in small.stderr
    assert not list(tmp_path.glob("small/*/config.yaml"))
    large = [*words, f"hydra.launcher.memory={16 * 2**30}", f"hydra.sweep.dir={tmp_path / 'large'}"]
    subprocess.run([sys.executable, str(ROOT / "train.py"), *large], cwd=ROOT, timeout=7200, check=True)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("large/*/record.json")]
    assert sorted(record["model"] for record in records) == ["compact"] * 3 + ["full"] * 3
    assert 2 * max(record["peak_memory_bytes"] for record in records) <= 16 * 2**30
