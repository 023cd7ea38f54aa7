"""Experts in training: their load is reported, their biases are restored, and evaluation knows nothing of balance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from algoprog.run import app, fit
from algoprog.run.memory import peak_memory
from algoprog.run.spec import language_model
from algoprog.runs.record import Run
from algoprog.runs.store import load_run
from algoprog.training.devices.hardware import gpus_here
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN
from tests.training.resuming import EVERY_STEP, PATIENCE, finish, result, resumed, said, start

Compose = Callable[..., dict[str, Any]]

BIASED = ("mlp=deepseek_moe", "mlp.n_experts=4", "mlp.top_k=2", "mlp.bias_speed=0.05", "norm=ln", "optim.lr=1e-2")
"""Biases that change what is chosen within a few steps."""

LOADS = tuple(f"expert_load_{number}" for number in range(4))


def trained(compose: Compose, folder: Path, *words: str) -> Run:
    fit.run(app.prepare(compose(*TINY_RUN, *words)), folder, [])
    return load_run(folder)


def test_the_load_stands_in_curve_and_record(compose: Compose, tmp_path: Path) -> None:
    run = trained(compose, tmp_path, *BIASED)
    loads = np.array([run.curve[name] for name in LOADS])
    assert np.isnan(loads[:, 0]).all(), "nothing was trained yet"
    assert loads[:, 1:].sum(axis=0) == pytest.approx(4.0), "in even shares"
    assert (run.curve["expert_load_max"][1:] == loads[:, 1:].max(axis=0)).all(), "of the only layer"
    last = {f"layer 0 expert_load {name}": run.curve[name][-1] for name in (*LOADS, "idle_experts")}
    assert {name: run.record.stats[name] for name in last} == last
    assert run.record.n_active_params < run.record.n_params
    assert "dead-parameters" not in run.record.flags


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """To the last digit, biases included: without them other experts are chosen."""
    words = (*BIASED, *EVERY_STEP, "model.dropout=0.1")
    assert finish(tmp_path / "calm", *words)[0] == 0, said(tmp_path / "calm")
    assert finish(tmp_path / "killed", *words, faults={"step": 4})[0] == -9
    assert finish(tmp_path / "killed", *words)[0] == 0, said(tmp_path / "killed")
    assert resumed(tmp_path / "killed") == [3]
    assert result(tmp_path / "killed") == result(tmp_path / "calm")


@pytest.mark.slow
def test_a_branch_ends_like_a_run_of_its_own(compose: Compose, tmp_path: Path) -> None:
    """And the trunk goes on with the biases that it had."""
    wsd = ("schedule=wsd", "schedule.warmup_steps=0", "schedule.decay_fraction=0.5", "schedule.branch_ratio=2")
    words = (*BIASED, *wsd, "evaluation.points=2")
    branched = trained(compose, tmp_path / "branched", *words, "budget.steps=16", "schedule.branches=2").curve
    plain = trained(compose, tmp_path / "plain", *words, "budget.steps=16", "schedule.branches=1").curve
    alone = trained(compose, tmp_path / "alone", *words, "budget.steps=8", "schedule.branches=1").curve
    (end,) = np.flatnonzero((branched["annealed"] == 1) & (branched["step"] == 8))
    assert branched["val_loss"][end] == alone["val_loss"][-1]
    assert branched["val_loss"][-1] == plain["val_loss"][-1]
    unmoved = trained(compose, tmp_path / "unmoved", *words, "mlp.bias_speed=0", "budget.steps=16").curve
    assert plain["val_loss"][-1] != unmoved["val_loss"][-1], "the biases matter here"


@pytest.mark.parametrize("mlp", ["moe", "switch", "deepseek_moe"])
def test_micro_batches_are_no_part_of_the_result(compose: Compose, tmp_path: Path, mlp: str) -> None:
    """Neither of the balance loss nor of the load that moves the biases, which is that of the whole step."""
    words = (*BIASED, f"mlp={mlp}") if mlp == "deepseek_moe" else (f"mlp={mlp}", "mlp.balance_loss=0.5", "norm=ln")
    whole, parts = (trained(compose, tmp_path / size, *words, f"micro_batch_size={size}").curve for size in ("4", "1"))
    for name in ("val_loss", "train_loss"):
        assert parts[name] == pytest.approx(whole[name], rel=FLOATING_POINT_ORDER, nan_ok=True)
    assert parts["expert_load_0"] == pytest.approx(whole["expert_load_0"], abs=0.05, nan_ok=True)


def test_evaluation_is_plain_cross_entropy(compose: Compose) -> None:
    """It sees no balance loss and moves no bias, in training mode neither."""
    for words in (("mlp=moe", "mlp.balance_loss=1000"), BIASED):
        spec = app.prepare(compose(*TINY_RUN, *words))
        module = language_model(spec)
        inputs = torch.randint(256, (2, 32), generator=torch.Generator().manual_seed(0))
        before = {name: value.clone() for name, value in module.gpt.named_buffers()}
        for mode in (True, False):
            module.train(mode)
            plain = F.cross_entropy(module.gpt(inputs).flatten(0, 1), inputs.flatten())
            assert module.loss((inputs, inputs)) == plain
        assert all(value.equal(before[name]) for name, value in module.gpt.named_buffers())
        module.train()
        trained_on = module.training_step((inputs, inputs), 0)
        assert (trained_on > plain + 100) == ("mlp=moe" in words)
        module.adapt()
        assert all(value.equal(before[name]) for name, value in module.gpt.named_buffers()) == ("mlp=moe" in words)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("mlp", ["moe", "deepseek_moe"])
def test_two_processes_agree_with_one(tmp_path: Path, strategy: str, mlp: str) -> None:
    """The load that moves the biases is that of both."""
    words = BIASED if mlp == "deepseek_moe" else ("mlp=moe", "mlp.balance_loss=0.5", "norm=ln", "optim.lr=1e-2")
    assert finish(tmp_path / "one", *words)[0] == 0, said(tmp_path / "one")
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    devices = ("trainer.devices=2", f"trainer.strategy={strategy}", "micro_batch_size=1")
    both = [
        start(tmp_path / "two", *words, *devices, variables={**meet, "LOCAL_RANK": str(rank)}, log=f"{rank}.txt")
        for rank in (0, 1)
    ]
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0], said(tmp_path / "two", "0.txt")
    one, two = load_run(tmp_path / "one"), load_run(tmp_path / "two")
    for name in ("val_loss", "train_loss"):
        assert two.curve[name] == pytest.approx(one.curve[name], rel=FLOATING_POINT_ORDER, nan_ok=True)
    for name in (name for name in one.curve if name.startswith("expert_load")):
        assert two.curve[name] == pytest.approx(one.curve[name], abs=0.05, nan_ok=True)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_memory_is_estimated_without_data(compose: Compose, precision: str) -> None:
    """More than that of the dense MLP: experts are held whole, whatever a token uses of them."""
    dense, mixture = (
        peak_memory(app.prepare(compose(*TINY_RUN, f"mlp={mlp}", "model.d_model=256", f"precision={precision}")), gpus)
        for mlp in ("gelu", "switch")
        for gpus in (gpus_here(),)
    )
    assert mixture - dense > 7 * (8 * 256 * 256) * 16
