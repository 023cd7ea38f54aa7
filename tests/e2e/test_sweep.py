"""Sweeps from the command line: what is added, skipped, found, refused, and what a failure costs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import compute_gains
from algoprog.runs.status import read_status
from algoprog.runs.store import load_runs
from tests.e2e.conftest import TINY, Program

SWEEP = ["-m", *TINY, "budget.steps=6", "evaluation.points=6"]


@pytest.fixture(scope="module")
def sweep(typed: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished sweep and what it printed."""
    folder = tmp_path_factory.mktemp("sweep") / "one"
    result = typed(*SWEEP, "attention=mqa,sparse", f"hydra.sweep.dir={folder}", "hydra.sweeper.reuse=null")
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_the_missing_baseline_is_added_and_said_so(sweep: tuple[Path, str]) -> None:
    folder, printed = sweep
    assert "added the baseline" in printed
    assert {run.record.variant for run in load_runs(folder)} == {"none", "mqa", "sparse"}


def test_the_table_fits_80_columns(sweep: tuple[Path, str]) -> None:
    table = sweep[1].split("Compute-equivalent gain")[1].split("\nGains in")[0]
    assert "mqa" in table
    assert max(len(line) for line in table.splitlines()) <= 80


def test_gains_are_recomputed_from_the_records(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    written = json.loads((folder / "gains.json").read_text())
    again = compute_gains(curves_from_runs(load_runs(folder)))
    assert len(written) == len(again)
    for row, gain in zip(written, again, strict=True):
        assert row["variant"] == gain.variant
        assert row["ceg"] == gain.ceg
    assert {"model", "variant", "estimator", "cost", "kind", "ceg"} <= written[0].keys()
    assert {row["estimator"] for row in written} == {"iso_loss", "paper"}
    assert {row["cost"] for row in written} == {"flops", "tokens", "steps", "seconds"}
    with (folder / "gains.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(written)


def test_report_and_figures_are_written(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    assert "mqa" in (folder / "report.html").read_text()
    assert list((folder / "figures").glob("loss-*.png"))
    assert list((folder / "figures").glob("loss-*.svg"))


def test_the_same_command_again_trains_nothing(train: Program, sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("record.json")}
    result = train(*SWEEP, "attention=mqa,sparse", f"hydra.sweep.dir={folder}", "hydra.sweeper.reuse=null")
    assert result.returncode == 0, result.stderr
    assert "0 to train, 3 finished before" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("record.json")} == before


@pytest.mark.slow
def test_a_finished_baseline_is_found_and_copied(train: Program, sweep: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = sweep
    words = ["pos=rope", f"hydra.sweep.dir={tmp_path}", f"hydra.sweeper.reuse={folder}"]
    result = train(*SWEEP, *words)
    assert result.returncode == 0, result.stderr
    assert "found the baseline" in result.stdout
    assert "2 runs" in result.stdout
    assert "1 to train" in result.stdout
    assert {run.record.variant for run in load_runs(tmp_path)} == {"none", "rope"}


def test_an_impossible_combination_is_refused_before_training(train: Program, tmp_path: Path) -> None:
    result = train(*SWEEP, "attention=dense,mqa", "model.n_heads=2,3", f"hydra.sweep.dir={tmp_path}")
    assert result.returncode == 2
    assert "model.n_heads=3 does not divide model.d_model=16" in result.stderr
    assert "Nothing was trained" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("curve.csv"))


@pytest.mark.slow
def test_a_failed_run_costs_only_itself(train: Program, tmp_path: Path) -> None:
    blocked = tmp_path / "sweep"
    words = [*SWEEP, "attention=mqa,sparse", f"hydra.sweep.dir={blocked}", "hydra.sweeper.reuse=null"]
    planned = train(*words)
    assert planned.returncode == 0, planned.stderr
    (victim,) = blocked.glob("*mqa*")
    for path in victim.iterdir():
        if path.is_file():
            path.unlink()
    (victim / "config.yaml").mkdir()  # the run cannot write its configuration
    result = train(*words)
    assert result.returncode == 1
    assert "FAILED" in result.stderr
    assert "run.log" in result.stderr
    assert "sparse" in result.stdout.split("Compute-equivalent gain")[1]


def test_every_run_left_its_heartbeat(sweep: tuple[Path, str]) -> None:
    for run in load_runs(sweep[0]):
        status = read_status(run.path)
        assert status is not None
        assert (status.step, status.total_steps, status.attempt, status.device) == (6, 6, 1, "cpu")
        assert status.val_loss == pytest.approx(run.record.final_val_loss)


def test_a_failed_analysis_is_an_error(train: Program, sweep: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sweep[0], folder)
    (folder / "gains.csv").unlink()
    (folder / "gains.csv").mkdir()  # the gains cannot be written
    result = train(*SWEEP, "attention=mqa,sparse", f"hydra.sweep.dir={folder}", "hydra.sweeper.reuse=null")
    assert result.returncode == 1
    assert "the gains could not be computed" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in (folder / "analysis-error.txt").read_text()


@pytest.mark.parametrize("word", ["retries=-1", "gpus=[7]", "runs_per_gpu=2", "timeout=soon"])
def test_a_wrong_engine_setting_is_refused_in_one_sentence(train: Program, tmp_path: Path, word: str) -> None:
    result = train(*SWEEP, f"hydra.sweep.dir={tmp_path}", f"hydra.launcher.{word}", CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 2
    assert result.stderr.startswith("error: hydra.launcher.")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_report_redraws_a_sweep(algoprog: Program, sweep: tuple[Path, str]) -> None:
    folder, printed = sweep
    (folder / "report.html").unlink()
    result = algoprog("report", str(folder))
    assert result.returncode == 0, result.stderr
    assert (folder / "report.html").exists()
    assert result.stdout.strip() in printed.strip()


def test_report_of_an_empty_folder_says_so(algoprog: Program, tmp_path: Path) -> None:
    result = algoprog("report", str(tmp_path))
    assert result.returncode == 2
    assert "holds no finished run" in result.stderr


@pytest.mark.slow
def test_variants_are_named_sets_of_overrides(train: Program, tmp_path: Path) -> None:
    result = train(*SWEEP, "variant=none,ln", "seed=0,1", f"hydra.sweep.dir={tmp_path}", "hydra.sweeper.reuse=null")
    assert result.returncode == 0, result.stderr
    found = {(run.record.variant, run.record.seed) for run in load_runs(tmp_path)}
    assert found == {("none", 0), ("none", 1), ("ln", 0), ("ln", 1)}
