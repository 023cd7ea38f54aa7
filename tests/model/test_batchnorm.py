"""Batch normalisation: causal in training, running statistics in evaluation, torch's where it looks at everything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from algoprog.model.norm.batchnorm import BatchNorm
from algoprog.run import app, fit
from algoprog.runs.store import load_run
from tests.configs import SITE, TINY, TINY_RUN, assert_same, compose, gpt, shaken, tokens

X = torch.randn(4, 9, TINY.d_model, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 + 5
WHOLE = ("norm=batchnorm", "micro_batch_size=4")


def batchnorm(momentum: float = 0.1) -> BatchNorm:
    return shaken(BatchNorm(SITE, eps=1e-3, momentum=momentum))


def torchs(own: BatchNorm, momentum: float | None) -> nn.BatchNorm1d:
    theirs = nn.BatchNorm1d(TINY.d_model, eps=1e-3, momentum=momentum).double()
    theirs.weight, theirs.bias = own.gain, own.bias
    return theirs


def test_every_position_is_torch_s_over_what_stands_up_to_it() -> None:
    own = batchnorm().train()
    normed = own(X)
    for t in range(X.shape[1]):
        theirs = torchs(own, 0.1).train()(X[:, : t + 1].flatten(0, 1)).unflatten(0, (len(X), t + 1))
        assert_same(normed[:, t], theirs[:, t])


def test_running_means_are_torch_s() -> None:
    """Averaged evenly at first, as there without a momentum; then with it."""
    own = batchnorm(momentum=0.25).train()
    theirs = torchs(own, None).train()
    for step in range(9):
        if step == 4:
            theirs.momentum = 0.25
        own(X + step)
        theirs((X + step).flatten(0, 1))
        assert_same((own.running_mean, own.running_var), (theirs.running_mean, theirs.running_var))
    assert_same(own.eval()(X), theirs.eval()(X.flatten(0, 1)).unflatten(0, X.shape[:2]))


@pytest.mark.parametrize("place", ["norm", "final_norm"])
def test_training_does_not_look_ahead(place: str) -> None:
    """Another token at t changes no logits before t, of no sequence; at t it changes those of others too."""
    model, x = shaken(gpt(**{place: "batchnorm"})).train(), tokens(3)
    other = x.clone()
    other[0, 6] = (x[0, 6] + 1) % TINY.vocab_size
    with torch.no_grad():
        change = (model(x) - model(other)).abs().amax(dim=-1)
    assert change[:, :6].max() < 1e-9
    assert change[1:, 6].min() > 1e-6, "sequences of a batch see each other"


def test_the_gradient_does_not_look_ahead_either() -> None:
    model = shaken(gpt(norm="batchnorm", final_norm="batchnorm")).train()
    seen = []
    model.embedding.register_forward_hook(lambda module, inputs, output: seen.append(output.retain_grad() or output))
    model(tokens(3))[:, 4].sum().backward()
    assert seen[0].grad[:, 5:].abs().max() == 0
    assert seen[0].grad[:, :5].abs().min(dim=0).values.max() > 0


def test_evaluation_sees_one_sequence_alone_and_changes_nothing() -> None:
    model, x = shaken(gpt(norm="batchnorm")), tokens(4)
    for _ in range(3):
        model.train()(x)
    before = {name: value.clone() for name, value in model.named_buffers()}
    with torch.no_grad():
        assert_same(model.eval()(x)[1:2], model(x[1:2]))
        model.train()(x)  # without a gradient nothing is trained
    assert all(value.equal(before[name]) for name, value in model.named_buffers())


def test_a_run_learns_and_its_evaluation_follows(tmp_path: Path) -> None:
    words = (*TINY_RUN, *WHOLE, "optim.lr=1e-2", "budget.steps=40", "evaluation.points=3")
    fit.run(app.prepare(compose(*words)), tmp_path, [])
    curve = load_run(tmp_path).curve
    assert curve["val_loss"][-1] < curve["val_loss"][0] - 1
    assert abs(curve["val_loss"][-1] - curve["train_loss"][-1]) < 1, "running means are those of training"


@pytest.mark.parametrize("words", [("micro_batch_size=2",), ("micro_batch_size=auto", "trainer.devices=2")])
def test_a_batch_that_would_be_cut_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"norm=batchnorm normalises over the whole batch of 4 sequences"):
        app.prepare(compose(*TINY_RUN, "norm=batchnorm", *words))
    assert app.prepare(compose(*TINY_RUN, "norm=batchnorm", "micro_batch_size=auto")).accumulate == 1


def test_branches_put_running_means_back(tmp_path: Path) -> None:
    words = (*TINY_RUN, *WHOLE, "schedule.warmup_steps=1", "budget.steps=12", "schedule.decay_fraction=0.5")
    ends = []
    for branches in (1, 2):
        folder = tmp_path / str(branches)
        fit.run(app.prepare(compose(*words, f"schedule.branches={branches}")), folder, [])
        ends.append(load_run(folder).curve["val_loss"][-1])
    assert ends[0] == ends[1]


def test_positions_of_one_sequence_alone_are_defined() -> None:
    """The first of a single sequence has no variance; the loss is finite all the same."""
    model, x = gpt(norm="batchnorm").train(), tokens(1)
    loss = cross_entropy(model(x).flatten(0, 1), x.flatten())
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
