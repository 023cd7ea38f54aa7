"""Models in bfloat16 altogether; what this machine or this program cannot is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra.errors import MissingConfigException

from algoprog.refusals.by_hydra import hydra_sentence
from algoprog.run import app, fit
from algoprog.run.memory import CPU_PROCESS_BYTES, peak_memory
from algoprog.run.stacking import alone_because
from algoprog.runs.store import load_run
from algoprog.training.devices.hardware import gpus_here
from algoprog.training.precision import FP8_CAPABILITY, cast
from tests.configs import TINY_RUN, compose, gpt, tokens
from tests.training.resuming import EVERY_STEP, finish, result, resumed

TRUE = "precision=bf16-true"


@pytest.mark.parametrize("option", ["pos=rope", "mlp=deepseek_moe", "norm=batchnorm"])
def test_it_learns_and_adds_up_in_full(tmp_path: Path, option: str) -> None:
    words = (*TINY_RUN, "norm=ln", "optim.lr=1e-2", "budget.steps=12", "micro_batch_size=4", option)
    ends = []
    for precision in ("precision=32", TRUE):
        fit.run(app.prepare(compose(*words, precision)), tmp_path / precision, [])
        losses = load_run(tmp_path / precision).curve["val_loss"]
        assert losses[-1] < losses[0] - 0.5
        ends.append(losses[-1])
    assert ends[1] == pytest.approx(ends[0], rel=0.05)
    assert float(torch.tensor(ends[1]).bfloat16()) != pytest.approx(ends[1], rel=1e-6), "no loss of eight bits"


def test_what_eight_bits_cannot_hold_stays_wide() -> None:
    for parts, path in (({"pos": "rope"}, "pos.cos"), ({"mlp": "deepseek_moe"}, "blocks.0.mlp.expert_bias")):
        model = cast(gpt(**parts), "bf16-true")
        assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
        assert dict(model.named_buffers())[path].equal(dict(gpt(**parts).named_buffers())[path])
        assert model(tokens(1)).dtype == torch.bfloat16
        assert model.double()(tokens(1)).dtype == torch.float64


def test_it_takes_half_the_memory() -> None:
    words = (*TINY_RUN, "model.d_model=64", "model.n_layers=2", "schedule.branches=1")
    plain, true = (app.prepare(compose(*words, word)) for word in ("precision=32", TRUE))
    assert true.optimizer_bytes == plain.optimizer_bytes // 2
    own, others = (peak_memory(spec, gpus_here()) - CPU_PROCESS_BYTES for spec in (true, plain))
    assert 0.5 <= own / others < 0.75  # losses are taken in float32
    assert alone_because(true) == "precision=bf16-true turns whole models"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("precision=fp8",), r"precision=fp8 (multiplies in float8|is not written).*: use precision=bf16-mixed"),
        ((TRUE, "optim=soap"), "optim=soap takes matrices apart, for which there are no kernels in bfloat16"),
        (("precision=bf16",), r"precision=bf16 must be one of 32, bf16-mixed, bf16-true"),
    ],
)
def test_what_cannot_be_computed_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        app.prepare(compose(*TINY_RUN, *words))


@pytest.mark.parametrize(
    ("capability", "why"), [((8, 0), "no such GPU"), (FP8_CAPABILITY, "is not written"), ((9, 0), "is not")]
)
def test_the_reason_is_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], why: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    with pytest.raises(ValueError, match=why):
        app.prepare(compose(*TINY_RUN, "precision=fp8"))


def test_a_kernel_that_cannot_train_here_is_refused_with_the_reason() -> None:
    with pytest.raises(MissingConfigException) as error:
        compose("kernel=flex")
    assert hydra_sentence(error.value) == (
        "kernel=flex is no option here: FlexAttention has no backward pass on a CPU, and on a GPU nobody has held it"
        " against kernel=math: choose among flash, math"
    )


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    words = (*EVERY_STEP, TRUE, "pos=rope", "model.dropout=0.2", "schedule=wsd", "budget.steps=12")
    words = (*words, "schedule.warmup_steps=1", "schedule.branches=2", "schedule.branch_ratio=2", "evaluation.points=4")
    assert finish(tmp_path / "calm", *words)[0] == 0
    assert finish(tmp_path / "killed", *words, faults={"step": 8})[0] == -9
    assert finish(tmp_path / "killed", *words)[0] == 0
    assert resumed(tmp_path / "killed") == [7]
    assert result(tmp_path / "killed") == result(tmp_path / "calm")
