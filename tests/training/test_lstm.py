"""Runs of the LSTM: records, branches, resumes and several processes as those of any backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from algoprog.run import app, fit
from algoprog.run.memory import peak_memory
from algoprog.runs.store import load_run
from algoprog.training.devices.hardware import gpus_here
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, compose
from tests.training.resuming import EVERY_STEP, finish, result, resumed
from tests.training.test_ranks import begin, end

LSTM = ("backbone=lstm", "model.n_layers=2")
WSD = (
    *("model.dropout=0.2", "schedule=wsd", "budget.steps=12", "schedule.warmup_steps=1"),
    *("schedule.decay_fraction=0.5", "schedule.branch_ratio=2", "evaluation.points=4", "optim.lr=1e-2"),
)


def trained(folder: Path, *words: str) -> Any:
    fit.run(app.prepare(compose(*TINY_RUN, *LSTM, *words)), folder, [])
    return load_run(folder)


@pytest.mark.parametrize("precision", ["32", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("norm", ["none", "ln"])
def test_it_learns_and_its_record_holds_its_own_axes(tmp_path: Path, norm: str, precision: str) -> None:
    run = trained(tmp_path, f"norm={norm}", f"precision={precision}", "optim.lr=3e-2", "budget.steps=20")
    assert run.record.final_val_loss < run.curve["val_loss"][0] - 1
    assert {"backbone", "norm", "final_norm"} <= run.record.axes.keys()
    assert not run.record.axes.keys() & {"block", "mixer", "attention", "pos", "mlp", "kernel"}
    assert run.record.attention_density is None
    assert run.record.environment["dead_parameters"] == []
    assert run.record.facts["state_bytes"] == 2 * 2 * 16 * 4


@pytest.mark.parametrize("norm", ["none", "ln"])
def test_its_memory_is_known_before(norm: str) -> None:
    """What a batch keeps grows with it, at least by what the layers give."""
    peaks = [
        peak_memory(app.prepare(compose(*TINY_RUN, *LSTM, f"norm={norm}", f"micro_batch_size={micro}")), gpus_here())
        for micro in (1, 2)
    ]
    assert peaks[1] - peaks[0] > 2 * 32 * 16 * 4


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "ln"])
def test_an_end_point_is_that_of_a_run_of_its_own(tmp_path: Path, norm: str) -> None:
    words = (*WSD, f"norm={norm}")
    branched = trained(tmp_path / "branched", *words, "schedule.branches=2").curve
    alone = trained(tmp_path / "alone", *words, "schedule.branches=1", "budget.steps=6").curve
    (row,) = ((branched["step"] == 6) & (branched["annealed"] == 1)).nonzero()[0]
    for column in ("step", "flops", "val_loss", "lr"):
        assert alone[column][-1] == branched[column][row], column


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "ln"])
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path, norm: str) -> None:
    words = (*EVERY_STEP, *LSTM, *WSD, f"norm={norm}", "schedule.branches=2")
    assert finish(tmp_path / "calm", *words)[0] == 0
    assert finish(tmp_path / "killed", *words, faults={"step": 8})[0] == -9
    code, output = finish(tmp_path / "killed", *words)
    assert code == 0, output
    assert resumed(tmp_path / "killed") == [7]
    assert result(tmp_path / "killed") == result(tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "ln"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one(tmp_path: Path, strategy: str, norm: str) -> None:
    words = (*LSTM, f"norm={norm}", "budget.steps=6", "optim.lr=1e-2")
    assert finish(tmp_path / "one", *words)[0] == 0
    assert end(begin(tmp_path / "two", *words, f"trainer.strategy={strategy}")) == [0, 0]
    (ours, _), (theirs, _) = result(tmp_path / "two"), result(tmp_path / "one")
    for name in ("train_loss", "val_loss"):
        one, other = ([float(row[name]) for row in rows] for rows in (ours, theirs))
        assert one == pytest.approx(other, rel=FLOATING_POINT_ORDER, nan_ok=True)
