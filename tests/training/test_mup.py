"""muP: the table of its paper, and activations whose scale after some steps does not depend on the width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from algoprog import build
from algoprog.model.init import STD
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.roles import Role
from algoprog.run import app, fit
from algoprog.run.spec import language_model
from algoprog.runs.store import load_run
from algoprog.training.optimizer import at_their_rates
from tests.configs import TINY, TINY_RUN, assert_same, compose, gpt, part, shaken, tokens

BASE = 32
DIMS = replace(TINY, d_model=BASE, n_heads=2, vocab_size=64)
ADAM_LIKE = ("adam", "adamw", "ademamix", "lion", "schedule_free")


def rule(name: str = "mup") -> Any:
    knobs = {"base_width": BASE, "base_head": 16} if name == "mup" else {}
    return build.construct({"init": part("init", name, **knobs)}, "init")


def begun(name: str, width: int, n_heads: int | None = None, **parts: Any) -> Backbone:
    dims = replace(DIMS, d_model=width, n_heads=n_heads or width // 16)
    model = gpt(dims, seed=None, **{"norm": "ln", **parts})
    model.init_weights(0, rule(name))
    return model


def optimizer_of(model: Backbone, name: str = "adamw", lr: float = 0.01) -> torch.optim.Optimizer:
    recipe = build.construct({"optim": part("optim", name, lr=lr)}, "optim")
    return at_their_rates(recipe(model.parameters_by_role()))


def moved(model: Backbone, steps: int = 4) -> dict[str, float]:
    """How much the stream behind the layers, and the logits, have changed after some steps: root mean squares."""
    x, optimizer = tokens(8, DIMS), optimizer_of(model, lr=0.001)

    def seen() -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        keep: Callable[[str], Any] = lambda name: lambda _, __, out: found.update({name: out})  # noqa: E731
        hooks = [block.register_forward_hook(keep(f"layer {i}")) for i, block in enumerate(model.blocks)]
        hooks += [block.attention.register_forward_hook(keep(f"attention {i}")) for i, block in enumerate(model.blocks)]
        with torch.no_grad():
            found["logits"] = model(x)
        for hook in hooks:
            hook.remove()
        return found

    before = seen()
    for _ in range(steps):
        cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: float((after - before[name]).square().mean().sqrt()) for name, after in seen().items()}


def slopes(name: str, *, n_heads: int | None, **parts: str) -> dict[str, float]:
    """Of the logarithm of each change on the logarithm of the width, from that of the base to eight times as many."""
    widths = [BASE, 2 * BASE, 4 * BASE, 8 * BASE]
    told = [moved(begun(name, width, n_heads, **parts)) for width in widths]
    return {key: float(np.polyfit(np.log(widths), [math.log(each[key]) for each in told], 1)[0]) for key in told[0]}


@pytest.mark.parametrize("n_heads", [None, 2], ids=["more heads", "wider heads"])
def test_activations_move_alike_at_every_width(n_heads: int | None) -> None:
    """The coordinate check of appendix D.1: flat under muP, growing with the width by the usual rule."""
    flat, standard = (slopes(name, n_heads=n_heads) for name in ("mup", "gpt2"))
    assert all(abs(slope) < 0.2 for slope in flat.values()), flat
    assert standard["logits"] > 0.6, standard
    assert standard["layer 1"] > 0.8, standard


def test_streams_move_alike_at_every_width() -> None:
    """What is read of them, by as many outputs at every width, has the rate of a router."""
    assert all(abs(slope) < 0.2 for slope in slopes("mup", n_heads=None, skip="hyper").values())


def test_at_the_base_width_nothing_changes() -> None:
    own, plain = begun("mup", BASE), begun("gpt2", BASE)
    for one, other in zip(own.parameters(), plain.parameters(), strict=True):
        assert one.equal(other)
    assert own(tokens(2, DIMS)).equal(plain(tokens(2, DIMS)))
    groups, others = (optimizer_of(model).param_groups for model in (own, plain))
    assert [{**group, "params": len(group["params"])} for group in groups] == [
        {**group, "params": len(group["params"])} for group in others
    ]


@pytest.mark.parametrize("mlp", ["gelu", "moe"])
def test_weights_begin_as_the_table_says(mlp: str) -> None:
    """Input weights and output weights as at every width; hidden ones with a variance of one over it."""
    model, m = begun("mup", 8 * BASE, head="untied", mlp=mlp), 8
    for (name, parameter), own in zip(model.named_parameters(), model.parameters_by_role(), strict=True):
        depth = math.sqrt(2 * DIMS.n_layers) if name.endswith((".out.weight", ".down.weight")) else 1
        expected = {
            Role.EMBEDDING: STD,
            Role.HEAD: STD,
            Role.MATRIX: STD / math.sqrt(m) / depth,
            Role.ROUTER: STD / m,
        }.get(own.role)
        if expected is not None:
            assert parameter.std().item() == pytest.approx(expected, rel=0.07), name


@pytest.mark.parametrize("name", ADAM_LIKE)
def test_rates_go_by_role_through_the_groups(name: str) -> None:
    """Matrices have one over the width of the rate, and as much decay a step; all else has the rate itself."""
    model, recipe = begun("mup", 4 * BASE, mlp="moe"), part("optim", name, lr=0.01)
    optimizer = optimizer_of(model, name)
    roles = {own.parameter: own for own in model.parameters_by_role()}
    seen = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            own, seen = roles[parameter], seen + 1
            narrow = 4 if own.role in (Role.MATRIX, Role.ROUTER) else 1
            assert group["lr"] == pytest.approx(0.01 / narrow)
            assert group["lr"] * group["weight_decay"] == pytest.approx(0.01 * recipe["weight_decay"] * own.decayed)
    assert seen == len(roles)
    assert optimizer.param_groups[0]["lr"] == 0.01, "what a curve shows is the rate that was asked for"


def test_logits_and_products_are_scaled() -> None:
    """Logits by one over the width, products by one over that of a head; the first steps of a model say the same."""
    model = shaken(begun("mup", 4 * BASE, 2, pos="rope"))  # of heads four times as wide
    plain, x = shaken(begun("gpt2", 4 * BASE, 2, pos="rope")), tokens(2, DIMS)
    plain.load_state_dict(model.state_dict())
    for block in plain.blocks:
        block.attention.qkv.weight.data[: 4 * BASE] /= 2  # queries: sqrt(16) / 64 in the place of 1 / sqrt(64)
        block.attention.qkv.bias.data[: 4 * BASE] /= 2
    with torch.no_grad():
        assert_same(model(x), plain(x) / 4)
        assert_same(model.step(x, model.new_state(2, 13)), model(x))


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
def test_every_backbone_divides_its_logits(backbone: str) -> None:
    parts = {"backbone": backbone, "norm": "none"}
    model, x = begun("mup", 2 * BASE, **parts), tokens(1, DIMS)
    whole = model(x)
    model.scales = replace(model.scales, output=1.0)
    torch.testing.assert_close(model(x), 2 * whole)


@pytest.mark.parametrize("optim", ["sgd", "muon", "soap", "adafactor"])
def test_optimizers_that_move_matrices_otherwise_are_refused(optim: str) -> None:
    with pytest.raises(ValueError, match=f"init=mup gives matrices the learning rate that Adam needs.*optim={optim}"):
        app.prepare(compose(*TINY_RUN, "init=mup", f"optim={optim}"))


@pytest.mark.parametrize("knob", ["base_width", "base_head"])
def test_a_base_without_width_is_refused(knob: str) -> None:
    with pytest.raises(ValueError, match=rf"init=mup: init\.{knob}=0 must be at least 1"):
        app.prepare(compose(*TINY_RUN, "init=mup", f"init.{knob}=0"))


WSD = (
    *("init=mup", "schedule=wsd", "budget.steps=12", "schedule.warmup_steps=1", "evaluation.points=4", "norm=ln"),
    *("schedule.decay_fraction=0.5", "schedule.branch_ratio=2", "model.dropout=0.2", "optim.lr=1e-2"),
)


def test_branches_decay_every_rate(tmp_path: Path) -> None:
    """An annealed end is that of a run of its own, to the last digit."""
    ends = []
    for words in (("schedule.branches=2",), ("schedule.branches=1", "budget.steps=6")):
        spec = app.prepare(compose(*TINY_RUN, *WSD, *words))
        assert {own.rate for own in language_model(spec).gpt.parameters_by_role()} == {1.0, 4.0}  # of a quarter's width
        fit.run(spec, tmp_path / words[0], [])
        ends.append(load_run(tmp_path / words[0]).curve)
    (branched,) = ends[0]["val_loss"][(ends[0]["annealed"] == 1) & (ends[0]["step"] == 6)]
    assert branched == ends[1]["val_loss"][-1]
    assert ends[0]["lr"].max() == 0.01
