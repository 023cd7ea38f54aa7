"""Runs of latent attention, recurrences and several streams: they learn, and end alike however they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from algoprog.run import app, fit
from algoprog.run.memory import peak_memory
from algoprog.runs.store import load_run
from algoprog.training.devices.hardware import gpus_here
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, compose
from tests.training.resuming import finish, result
from tests.training.test_ranks import begin, end

WITH_STATE = ["attention=mla", "mixer=gated_deltanet", "mixer=mamba2", "mixer=rwkv7", "attention=nsa"]
DISTURBED = [*WITH_STATE, "skip=hyper"]
OPTIONS = [*DISTURBED, "pos=alibi", "pos=sinusoidal"]


def trained(folder: Path, *words: str) -> Any:
    fit.run(app.prepare(compose(*TINY_RUN, *words)), folder, [])
    return load_run(folder)


@pytest.mark.parametrize("precision", ["32", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", OPTIONS)
def test_it_learns(tmp_path: Path, option: str, precision: str) -> None:
    run = trained(tmp_path, option, "norm=ln", f"precision={precision}", "optim.lr=1e-2", "budget.steps=20")
    assert run.record.final_val_loss < run.curve["val_loss"][0] - 1
    assert run.record.environment["dead_parameters"] == []


def test_a_record_holds_the_axes_that_mean_something(tmp_path: Path) -> None:
    mixed, latent = (trained(tmp_path / str(i), option, "budget.steps=1") for i, option in enumerate(WITH_STATE[:2]))
    assert mixed.record.axes["mixer"] == "attention"
    assert "pos" not in mixed.record.axes.keys() | mixed.record.choices.keys()
    assert mixed.record.choices["attention"]["kv_rank"] == 0.5
    assert mixed.record.facts["kv_rank"] == 8
    assert latent.record.axes["mixer"] == "gated_deltanet"
    assert not latent.record.axes.keys() & {"attention", "pos", "kernel"}
    assert latent.record.attention_density is None


@pytest.mark.parametrize("option", [*OPTIONS, "attention=mla kernel=flash", "pos=alibi kernel=flash"])
def test_its_memory_is_known_before(option: str) -> None:
    """What a batch keeps grows with it, at least by what the layers give."""
    peaks = [
        peak_memory(app.prepare(compose(*TINY_RUN, *option.split(), f"micro_batch_size={micro}")), gpus_here())
        for micro in (1, 2)
    ]
    assert peaks[1] - peaks[0] > 2 * 32 * 16 * 4


@pytest.mark.slow
@pytest.mark.parametrize("option", DISTURBED)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one(tmp_path: Path, strategy: str, option: str) -> None:
    words = (option, "norm=ln", "budget.steps=6", "optim.lr=3e-3")
    assert finish(tmp_path / "one", *words)[0] == 0
    assert end(begin(tmp_path / "two", *words, f"trainer.strategy={strategy}")) == [0, 0]
    (ours, _), (theirs, _) = result(tmp_path / "two"), result(tmp_path / "one")
    for name in ("train_loss", "val_loss"):
        one, other = ([float(row[name]) for row in rows] for rows in (ours, theirs))
        assert one == pytest.approx(other, rel=FLOATING_POINT_ORDER, nan_ok=True)
