"""Initial weights by rule, against torch's own layers, and as runs begin with them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from algoprog import build
from algoprog.model.interface.backbone import Backbone
from algoprog.run import app, fit
from algoprog.run.spec import language_model
from algoprog.runs.store import load_run
from tests.configs import TINY, TINY_RUN, compose, gpt, options, part, tokens

WIDE = replace(TINY, d_model=128, vocab_size=256)


def begun(name: str, **parts: Any) -> Backbone:
    model = gpt(WIDE, seed=None, **parts)
    model.init_weights(0, build.construct({"init": part("init", name)}, "init"))
    return model


def test_torch_s_rule_is_that_of_its_layers() -> None:
    """Bound of matrices, deviation of embeddings: of a linear layer and a table as torch makes them."""
    model = begun("torch", head="untied", attention="gqa", mlp="swiglu")
    for linear in (each for each in model.modules() if isinstance(each, nn.Linear)):
        theirs = nn.Linear(linear.in_features, linear.out_features).weight
        assert linear.weight.abs().max() <= 1 / math.sqrt(linear.in_features)
        assert linear.weight.std().item() == pytest.approx(theirs.std().item(), rel=0.05)
    assert model.embedding.table.weight.std().item() == pytest.approx(1, rel=0.02)
    assert model.head.weight.abs().max() <= 1 / math.sqrt(128)


def test_layers_write_nothing_under_zero_out() -> None:
    model, plain, x = begun("zero_out", norm="ln"), begun("gpt2", norm="ln"), tokens(2, WIDE)
    stream = model.pos.embed(model.embedding(x), _places(x))
    torch.testing.assert_close(model(x), model.final_norm(stream) @ model.embedding.table.weight.T)
    kept = {name: own for name, own in model.named_parameters() if not name.endswith(("out.weight", "down.weight"))}
    others = dict(plain.named_parameters())
    assert all(own.equal(others[name]) for name, own in kept.items()), "everything else begins as by GPT-2's"
    assert not any(own.any() for name, own in model.named_parameters() if name.endswith(("out.weight", "down.weight")))


def _places(x: Tensor) -> Any:
    from algoprog.model.interface.places import FromTheStart

    return FromTheStart(x.shape[1])


def test_gpt2_s_rule_is_the_one_of_before() -> None:
    for one, other in zip(begun("gpt2").parameters(), gpt(WIDE).parameters(), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize("name", [name for name in options("init") if name != "gpt2"])
def test_runs_begin_with_it_and_learn(tmp_path: Path, name: str) -> None:
    spec = app.prepare(compose(*TINY_RUN, f"init={name}", "norm=ln", "optim.lr=1e-2", "budget.steps=20"))
    assert spec.variant == f"ln+{name}"
    model = language_model(spec).gpt
    assert not model.blocks[0].mlp.up.weight.equal(gpt(model.dims).blocks[0].mlp.up.weight) or name == "zero_out"
    fit.run(spec, tmp_path, [])
    run = load_run(tmp_path)
    assert run.curve["val_loss"][-1] < run.curve["val_loss"][0] - 0.5
    assert run.record.environment["dead_parameters"] == []
    knobs = {knob: value for knob, value in part("init", name).items() if knob != "_target_"}
    assert run.record.choices["init"] == {"option": name, **knobs}
