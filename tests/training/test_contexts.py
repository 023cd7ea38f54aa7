"""Evaluation beyond the trained context: facts of the record, of the last weights, on the same text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from algoprog.run import app, fit
from algoprog.run.spec import RunSpec, language_model
from algoprog.runs.record import LOSS_AT_CONTEXT, Record
from algoprog.runs.store import load_run
from algoprog.variant import cohort, protocol, run_id
from tests.configs import TINY_RUN, compose
from tests.training.grouped import alone, together
from tests.training.resuming import EVERY_STEP, finish, result, resumed

ALL = "evaluation.contexts=[1,2,4]"
STILL = (*TINY_RUN, "budget.steps=1", "optim.lr=0", "norm=ln")
"""Trained without a step, so that the weights at the end are known."""


def facts(folder: Path, *words: str) -> tuple[RunSpec, dict[str, float]]:
    spec = app.prepare(compose(*STILL, *words))
    fit.run(spec, folder, [])
    return spec, load_run(folder).record.facts


@torch.no_grad()
def by_hand(spec: RunSpec, context: int) -> float:
    """Over all targets of all windows."""
    model, losses = language_model(spec).gpt.eval(), []
    for inputs, targets in DataLoader(spec.val_windows(context), batch_size=32):
        seen = targets != -100
        losses.append(cross_entropy(model(inputs)[seen], targets[seen], reduction="none").double())
    return float(torch.cat(losses).mean())


@pytest.mark.parametrize(
    "words",
    [("pos=rope", "pos.scaling=yarn"), ("pos=alibi", "evaluation.bytes=500", "model.seq_len=256")],
    ids=" ".join,
)
def test_the_loss_of_longer_windows_is_a_fact(tmp_path: Path, words: tuple[str, ...]) -> None:
    spec, told = facts(tmp_path, *words, ALL)
    for context in (1, 2, 4):
        assert len(spec.val_windows(context)[0][0]) == spec.config["model"]["seq_len"] * context
        assert told[f"val_loss_context_{context}"] == pytest.approx(by_hand(spec, context), rel=1e-5)
    assert told["val_loss_context_1"] == load_run(tmp_path).record.final_val_loss


def test_nothing_else_changes(tmp_path: Path) -> None:
    """Neither the curve nor, where it is not asked for, the record and the identity."""
    words = ("pos=rope", "optim.lr=1e-2", "budget.steps=4")
    (_, plain), (_, told) = facts(tmp_path / "a", *words), facts(tmp_path / "b", *words, "evaluation.contexts=[2]")
    assert told.keys() - plain.keys() == {"val_loss_context_2"}
    one, other = (load_run(tmp_path / name).curve["val_loss"].tolist() for name in "ab")
    assert one == other


def test_the_keys_are_in_no_identity_of_before() -> None:
    config = compose("pos=rope")
    former = {**config, "evaluation": {k: v for k, v in config["evaluation"].items() if k != "contexts"}}
    former["pos"] = {k: v for k, v in config["pos"].items() if k != "scaling"}
    for told in (lambda c: run_id(c, "0"), lambda c: cohort(c, "0"), protocol):
        assert told(former) == told(config)
    assert run_id(compose("pos=rope", ALL), "0") != run_id(config, "0")
    assert run_id(compose("pos=rope", "pos.scaling=ntk"), "0") != run_id(config, "0")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((ALL,), r"evaluation\.contexts=\[1,2,4\] goes beyond the trained context, and pos=learned has vectors for"),
        (
            ("pos=rope", "evaluation.contexts=[1,90000]"),
            r"contexts has 90000, which asks for windows of 2880000 tokens, and",
        ),
        (("pos=rope", "evaluation.bytes=60", "evaluation.contexts=[2000]"), r"contexts has 2000, .* only \d+ to"),
        (("pos=rope", "evaluation.contexts=[0,1]"), r"evaluation\.contexts=\[0, 1\] must be different whole numbers"),
        (("pos=rope", "evaluation.contexts=[2,2]"), r"evaluation\.contexts=\[2, 2\] must be different whole numbers"),
        (("pos=rope", "evaluation.contexts=[]"), r"evaluation\.contexts=\[\] must be different whole numbers"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_training(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        app.prepare(compose(*TINY_RUN, *words))


def test_it_is_priced() -> None:
    plain, longer = (app.prepare(compose(*TINY_RUN, "pos=rope", *words)) for words in ((), (ALL,)))
    assert longer.evaluation_flops > plain.evaluation_flops
    assert longer.paid_flops == plain.paid_flops


@pytest.mark.slow
def test_a_killed_run_has_the_same_facts(tmp_path: Path) -> None:
    words = (*EVERY_STEP, "pos=rope", "pos.scaling=linear", "model.dropout=0.2", "budget.steps=8", ALL)
    assert finish(tmp_path / "calm", *words)[0] == 0
    assert finish(tmp_path / "killed", *words, faults={"step": 6})[0] == -9
    assert finish(tmp_path / "killed", *words)[0] == 0
    assert resumed(tmp_path / "killed") == [5]
    assert result(tmp_path / "killed") == result(tmp_path / "calm")


def test_members_of_a_group_are_told_theirs(tmp_path: Path) -> None:
    """As runs by themselves, whatever their rule of initial weights scales."""
    words = ("pos=rope", "init=mup", "budget.steps=2", ALL)
    records = together(tmp_path, {"a": ("seed=0",), "b": ("seed=1",)}, *words)
    for name, record in records.items():
        assert isinstance(record, Record)
        lone = alone(tmp_path / f"{name}-alone", (f"seed={'ab'.index(name)}",), *words)
        known = {fact: loss for fact, loss in lone.facts.items() if fact.startswith(LOSS_AT_CONTEXT)}
        assert len(known) == 3
        assert {fact: record.facts[fact] for fact in known} == pytest.approx(known, rel=1e-4)
