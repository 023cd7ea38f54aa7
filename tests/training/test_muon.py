"""Muon against torch.optim.Muon and against the rule written out, with its price, its shards and its branches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.interface.roles import Declared, Role, matrix, vector
from algoprog.run import app, fit
from algoprog.runs.store import load_run
from algoprog.training.optim.muon import Muon, orthogonal
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, assert_same, compose, gpt
from tests.training.resuming import finish, result, resumed
from tests.training.test_ranks import begin, end

KNOBS: dict[str, Any] = {
    "lr": 0.01,
    "momentum": 0.9,
    "nesterov": True,
    "ns_steps": 5,
    "weight_decay": 0.3,
    "betas": (0.8, 0.9),
    "eps": 1e-6,
}
SWIGLU = {"mlp": "swiglu", "norm": "ln", "attention": "gqa"}


def gradients(like: list[Tensor], step: int) -> list[Tensor]:
    """The same random ones each time."""
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(one.shape, generator=generator, dtype=torch.float64).to(one.dtype) for one in like]


def stepped(recipe: Muon, declared: list[Declared], steps: int = 3) -> list[Tensor]:
    """The parameters after some steps on the same gradients each time."""
    optimizer, parameters = recipe(declared), [own.parameter for own in declared]
    for step in range(steps):
        for parameter, gradient in zip(parameters, gradients(parameters, step), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def written_out(weight: Tensor, gradients: list[Tensor], *, decay: float, nesterov: bool) -> Tensor:
    """One matrix, in float64, from the formulas of the papers."""
    mean, rows, columns = torch.zeros_like(weight), *weight.shape
    for gradient in gradients:
        mean = KNOBS["momentum"] * mean + (1 - KNOBS["momentum"]) * gradient
        ahead = KNOBS["momentum"] * mean + (1 - KNOBS["momentum"]) * gradient if nesterov else mean
        u, s, vt = torch.linalg.svd(ahead, full_matrices=False)
        s = s / s.square().sum().sqrt()
        for _ in range(KNOBS["ns_steps"]):  # an odd polynomial of a matrix acts on its singular values
            s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
        update = 0.2 * max(rows, columns) ** 0.5 * (u * s) @ vt
        weight = weight - KNOBS["lr"] * decay * weight - KNOBS["lr"] * update
    return weight


@pytest.mark.parametrize("nesterov", [True, False])
def test_it_is_the_rule_of_the_papers(nesterov: bool) -> None:
    """For wide and tall matrices, fused ones, and stacks of experts; what is no matrix gets torch's AdamW."""
    wide, tall, fused = (Parameter(torch.randn(*shape).double()) for shape in ((4, 6), (6, 4), (7, 5)))
    experts, table, gain = Parameter(torch.randn(3, 4, 6).double()), Parameter(torch.randn(9, 4).double()), vector_of(4)
    declared = [
        *(matrix(wide), matrix(tall), matrix(fused, fused=(4, 1, 2)), matrix(experts, active=1 / 3)),
        *(matrix(table, role=Role.EMBEDDING), vector(gain)),
    ]
    before = [own.parameter.detach().clone() for own in declared]
    told = [gradients(before, step) for step in range(3)]
    after = stepped(Muon(**{**KNOBS, "nesterov": nesterov}), declared)

    def expected(index: int, *place: Any) -> Tensor:
        own = [gradient[index][place] for gradient in told]
        return written_out(before[index][place], own, decay=KNOBS["weight_decay"], nesterov=nesterov)

    assert_same(after[0], expected(0))
    assert_same(after[1], expected(1))
    assert_same(after[2], torch.cat([expected(2, rows) for rows in (slice(0, 4), slice(4, 5), slice(5, 7))]))
    assert_same(after[3], torch.stack([expected(3, expert) for expert in range(3)]))
    rest = [Parameter(before[4]), Parameter(before[5])]
    adamw = torch.optim.AdamW(
        [{"params": rest[:1], "weight_decay": KNOBS["weight_decay"]}, {"params": rest[1:], "weight_decay": 0.0}],
        **{knob: KNOBS[knob] for knob in ("lr", "betas", "eps")},
    )
    for step in range(3):
        for index, parameter in enumerate(rest):
            parameter.grad = told[step][4 + index]
        adamw.step()
    assert_same(after[4], rest[0].detach())
    assert_same(after[5], rest[1].detach())


def vector_of(width: int) -> Parameter:
    return Parameter(torch.randn(width).double())


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_it_is_torch_s_muon(nesterov: bool, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """To the rounding of one factor, where Newton-Schulz is made to run in bfloat16 on this processor too."""
    monkeypatch.setattr(
        "algoprog.training.optim.muon.orthogonal", lambda x, steps: orthogonal(x, steps, dtype=torch.bfloat16)
    )
    ours, theirs = (Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1))) for _ in range(2))
    knobs = {knob: KNOBS[knob] for knob in ("lr", "momentum", "ns_steps", "weight_decay")}
    muon = torch.optim.Muon([theirs], **knobs, nesterov=nesterov, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        (theirs.grad,) = gradients([theirs], step)
        muon.step()
    (after,) = stepped(Muon(**{**KNOBS, "nesterov": nesterov}), [matrix(ours)])
    torch.testing.assert_close(after, theirs.detach(), rtol=1e-6, atol=1e-6)


def test_singular_values_come_near_one() -> None:
    for shape in ((16, 16), (16, 64), (64, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(2, *shape), 5))
        assert 0.3 < values.min() < values.max() < 1.3
    assert not orthogonal(torch.zeros(3, 4), 5).any(), "an expert without tokens stays where it is"


def test_matrices_alone_are_orthogonalised() -> None:
    """With decay where the parts declare it, at one rate."""
    declared = gpt(**SWIGLU).parameters_by_role()
    recipe = Muon(**KNOBS)
    optimizer = recipe(declared)
    assert [group["lr"] for group in optimizer.param_groups] == [KNOBS["lr"]] * 4
    assert [group["weight_decay"] for group in optimizer.param_groups] == [KNOBS["weight_decay"], 0.0] * 2
    taken = {id(parameter) for group in optimizer.param_groups[:2] for parameter in group["params"]}
    assert taken == {id(own.parameter) for own in declared if own.role is Role.MATRIX}
    assert {own.role for own in declared} == {Role.MATRIX, Role.EMBEDDING, Role.VECTOR}


def newton_schulz(m: int, n: int) -> int:
    return 5 * (4 * m * m * n + 2 * m**3)


def test_record_and_curve_hold_the_charge_apart(tmp_path: Path) -> None:
    """At nano with 4 sequences of 256 tokens a step: 5 (4 m^2 n + 2 m^3) for each of 2 x 6 matrices."""
    words = ("optim=muon", "batch_size=4", "budget.steps=2", "schedule=constant", "evaluation.points=2")
    trainer = ("trainer=cpu", "trainer.threads=1", "tokenizer=bytes", "evaluation.tokens=256")
    spec = app.prepare(compose(*words, *trainer))
    assert spec.optimizer_flops == 2 * (4 * newton_schulz(64, 64) + 2 * newton_schulz(64, 256)) == 157_286_400
    record, curve = fit.run(spec, tmp_path, []), load_run(tmp_path).curve
    assert record.optimizer_flops == 2 * spec.optimizer_flops
    assert record.train_flops == 2 * (4 * 256 * spec.flops_per_token + spec.optimizer_flops)
    assert curve["optimizer_flops"].tolist() == [step * spec.optimizer_flops for step in curve["step"]]
    assert curve["flops"][-1] == record.train_flops
    adamw = app.prepare(compose(*words[1:], *trainer))
    assert spec.optimizer_bytes < adamw.optimizer_bytes
    assert adamw.optimizer_flops == 0


def test_a_budget_of_flops_buys_fewer_steps() -> None:
    words = (*TINY_RUN, "budget.steps=null", "budget.flops=1e9", "schedule.branches=1")
    muon, adamw = (app.prepare(compose(*words, *more)) for more in (("optim=muon",), ()))
    assert muon.total_steps < adamw.total_steps
    assert muon.total_flops == pytest.approx(1e9, rel=0.05)


@pytest.mark.parametrize(
    ("knob", "sentence"),
    [
        ("optim.momentum=1", "optim=muon: optim.momentum=1.0 must be at least 0 and below 1"),
        ("optim.ns_steps=0", "optim=muon: optim.ns_steps=0 must be at least 1 and below 100"),
        ("optim.eps=-1", "optim.eps=-1.0 must be a number of at least 0"),
        ("optim.betas=[0.9]", r"optim.betas=\[0.9\] must be two numbers"),
    ],
)
def test_impossible_knobs_are_refused_before_training(knob: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        app.prepare(compose(*TINY_RUN, "optim=muon", knob))


WSD = (
    *("optim=muon", "model.dropout=0.2", "norm=ln", "schedule=wsd", "budget.steps=12", "schedule.warmup_steps=1"),
    *("schedule.decay_fraction=0.5", "schedule.branch_ratio=2", "evaluation.points=4"),
)


def test_an_end_point_is_that_of_a_run_of_its_own(tmp_path: Path) -> None:
    def curve(name: str, *words: str) -> Any:
        fit.run(app.prepare(compose(*TINY_RUN, *WSD, *words)), tmp_path / name, [])
        return load_run(tmp_path / name).curve

    branched = curve("branched", "schedule.branches=2")
    alone = curve("alone", "schedule.branches=1", "budget.steps=6")
    (row,) = ((branched["step"] == 6) & (branched["annealed"] == 1)).nonzero()[0]
    for column in ("step", "flops", "optimizer_flops", "val_loss", "lr"):
        assert alone[column][-1] == branched[column][row], column


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one(tmp_path: Path, strategy: str) -> None:
    """Shards are put together for Newton-Schulz; in step with replicas, whose checkpoints they read."""
    words = ("optim=muon", "norm=ln", "mlp=swiglu", "budget.steps=8", "optim.lr=1e-2")
    assert finish(tmp_path / "one", *words)[0] == 0
    two = (*words, f"trainer.strategy={strategy}")
    assert end(begin(tmp_path / "two", *two, faults={"step": 5})) == [-9, -9]
    assert end(begin(tmp_path / "two", *two)) == [0, 0]
    assert resumed(tmp_path / "two") == [4]
    (ours, _), (theirs, _) = result(tmp_path / "two"), result(tmp_path / "one")
    for name in ("train_loss", "val_loss", "optimizer_flops"):
        one, other = ([float(row[name]) for row in rows] for rows in (ours, theirs))
        assert one == pytest.approx(other, rel=FLOATING_POINT_ORDER, nan_ok=True)
