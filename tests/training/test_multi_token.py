"""Several future tokens: the losses by hand, what they cost in training alone, and runs that learn with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from algoprog import build
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Work
from algoprog.run import app, fit
from algoprog.run.memory import peak_memory
from algoprog.run.stacking import alone_because
from algoprog.runs.store import load_run
from algoprog.training.cross_entropy import losses_ahead
from algoprog.training.devices.hardware import gpus_here
from tests.configs import TINY, TINY_RUN, assert_same, compose, context, gpt, part, shaken, tokens
from tests.model.counting import CountingKernel, counted

MULTI = ("objective=multi_token", "objective.n_future=3")


def looking_ahead(n_future: int, **parts: Any) -> Backbone:
    config = {axis: part(axis, choice) for axis, choice in {**OPTIONS, **parts}.items()}
    config["objective"] = part("objective", "multi_token", n_future=n_future)
    model = build.gpt(config, TINY)
    model.init_weights(0)
    return model.eval()


OPTIONS = {
    **dict.fromkeys(("qk_norm", "output_gate", "sinks", "softcap", "skip"), "none"),
    **{"backbone": "transformer", "block": "pre", "mixer": "attention", "attention": "dense", "norm": "ln"},
    **{"final_norm": "ln", "pos": "rope", "mlp": "gelu", "head": "tied", "kernel": "math"},
}


@torch.no_grad()
def test_every_further_token_has_a_last_layer_of_its_own() -> None:
    """The trunk is that of the model; each layer sees it, and predicts the token so far ahead."""
    model, x, reports = shaken(looking_ahead(3)), tokens(2), Reports()
    logits = model(x[:, :-1], reports)
    trunk, there = model.embedding(x[:, :-1]), context(model, 12)
    for block in model.blocks[:-1]:
        trunk = block(trunk, there)
    assert len(model.blocks) == 2
    assert len(model.ahead) == 2
    losses = []
    for distance, block in enumerate((model.blocks[-1], *model.ahead), start=1):
        told = model.final_norm(block(trunk, there)) @ model.embedding.table.weight.T
        assert_same(told, (logits, *reports.ahead)[distance - 1])
        seen = 13 - distance  # of 13 tokens, so many are followed by one at this distance
        losses.append(cross_entropy(told[:, :seen].flatten(0, 1), x[:, distance:].flatten()))
    assert_same(tuple(losses_ahead(reports.ahead, x[:, 1:])), tuple(losses[1:]))


def test_behind_training_nothing_of_it_is_left() -> None:
    plain, own, x = gpt(norm="ln", pos="rope"), looking_ahead(3), tokens(1)
    assert own(x).equal(plain(x)), "the same weights from the same streams"
    state, others = own.new_state(1, 13), plain.new_state(1, 13)
    assert own.step(x, state).equal(plain.step(x, others))
    for work in (Work.prefill(7), Work.decode(7)):
        assert own.flops(work) == plain.flops(work)
    assert own.facts() == plain.facts()
    assert own.n_active_params() == plain.n_active_params()
    assert own.n_active_body_params() == plain.n_active_body_params()
    layer = sum(parameter.numel() for parameter in plain.blocks[-1].parameters())
    assert own.n_params() == plain.n_params() + 2 * layer
    assert {name for name, _ in own.named_parameters()} - {name for name, _ in plain.named_parameters()} == {
        f"ahead.{further}.{name}" for further in range(2) for name, _ in plain.blocks[-1].named_parameters()
    }


def test_training_is_charged_for_layers_and_logits() -> None:
    model, x = looking_ahead(3), tokens(1)
    model.kernel = CountingKernel(model.kernel.site)

    def passed() -> None:
        reports = Reports()
        logits = model(x, reports)
        sum(losses_ahead(reports.ahead, x), start=cross_entropy(logits.flatten(0, 1), x.flatten())).backward()

    assert counted(passed) == model.flops_per_token() * x.numel()


@pytest.mark.parametrize("skip", ["value", "x0", "unet"])
def test_layers_ahead_are_given_what_the_last_one_is(skip: str) -> None:
    model, reports = looking_ahead(2, skip=skip), Reports()
    model.ahead[0].load_state_dict(model.blocks[-1].state_dict())
    logits = model(tokens(2), reports)
    assert reports.ahead[0].equal(logits)


def test_experts_ahead_are_kept_even_and_not_told() -> None:
    model, plain = looking_ahead(3, mlp="moe"), gpt(norm="ln", pos="rope", mlp="moe")
    told, known = Reports(), Reports()
    model(tokens(2), told)
    plain(tokens(2), known)
    assert told.statistics.keys() == known.statistics.keys() == model.statistics().keys()
    assert len(told.losses) == len(known.losses) + 2


def test_it_learns(tmp_path: Path) -> None:
    words = (*TINY_RUN, *MULTI, "norm=ln", "optim.lr=1e-2", "budget.steps=30", "micro_batch_size=4")
    fit.run(app.prepare(compose(*words)), tmp_path, [])
    one = load_run(tmp_path)
    assert one.curve["val_loss"][-1] < one.curve["val_loss"][0] - 1.5
    assert one.record.environment["dead_parameters"] == []
    assert one.record.variant == "ln+multi_token(n_future=3)"
    assert one.record.n_active_params < one.record.n_params


def test_plans_know_it() -> None:
    plain, own = (app.prepare(compose(*TINY_RUN, "norm=ln", *words)) for words in ((), MULTI))
    assert peak_memory(own, gpus_here()) > peak_memory(plain, gpus_here())
    assert own.flops_per_token > plain.flops_per_token
    assert own.cohort == plain.cohort
    assert alone_because(own) == "its objective is more than the cross-entropy of the next token"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("objective.n_future=1",), r"objective\.n_future=1 must be at least 2"),
        (
            ("objective.n_future=33",),
            r"objective\.n_future=33 looks beyond the end of every sequence",
        ),
        (("backbone=lstm",), "objective=multi_token puts further layers beside the last one of a transformer"),
        (("mlp=deepseek_moe",), "objective=multi_token has layers beside the last, and mlp=deepseek_moe adapts"),
    ],
)
def test_what_means_nothing_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        app.prepare(compose(*TINY_RUN, "objective=multi_token", *words))
