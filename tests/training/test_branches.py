"""Annealed end points from one run: the same as runs of their own, and the trunk never knows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten

from algoprog.ceg.curves import curves_from_runs
from algoprog.run import app, fit
from algoprog.runs.record import DIVERGED
from algoprog.runs.store import load_run
from algoprog.training.schedule import WarmupStableDecay
from algoprog.training.state.random_state import random_state
from algoprog.training.state.snapshot import Snapshot
from tests.configs import TINY_RUN

WSD = (
    "schedule=wsd",
    "budget.steps=24",
    "schedule.warmup_steps=0",
    "schedule.branches=1",
    "schedule.decay_fraction=0.5",
    "evaluation.points=4",
)


def _run(compose: Callable[..., dict[str, Any]], folder: Path, *words: str) -> dict[str, np.ndarray]:
    fit.run(app.prepare(compose(*TINY_RUN, *WSD, *words)), folder, [])
    return load_run(folder).curve


def test_an_end_point_is_that_of_a_run_of_its_own(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """To the last digit, with dropout, a clipped gradient and a warm-up of one length."""
    words = ("model.dropout=0.2", "schedule.warmup_steps=1", "gradient_clip=0.1")
    branched = _run(compose, tmp_path / "branched", *words, "schedule.branches=3", "schedule.branch_ratio=2")
    ends = branched["annealed"] == 1
    assert branched["step"][ends].tolist() == [6, 12, 24]
    for row in np.flatnonzero(ends):
        steps = int(branched["step"][row])
        alone = _run(compose, tmp_path / f"alone-{steps}", *words, f"budget.steps={steps}")
        for column in ("step", "tokens", "flops", "val_loss", "val_bits_per_byte", "lr"):
            assert alone[column][-1] == branched[column][row], (column, steps)


def test_an_end_behind_a_warm_up_by_share_is_as_it_was(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    share = ("schedule.warmup_steps=null", "schedule.warmup_fraction=0")
    branched = _run(compose, tmp_path / "branched", *share, "schedule.branches=2", "schedule.branch_ratio=2")
    alone = _run(compose, tmp_path / "alone", *share, "budget.steps=12")
    (loss,) = branched["val_loss"][(branched["step"] == 12) & (branched["annealed"] == 1)]
    np.testing.assert_allclose(alone["val_loss"][-1], loss, rtol=1e-5)


def test_the_trunk_is_bit_identical_with_and_without(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    plain = _run(compose, tmp_path / "plain", "model.dropout=0.1")
    branched = _run(compose, tmp_path / "branched", "model.dropout=0.1", "schedule.branches=3")
    own_end = branched["step"] == 24
    trunk = (branched["annealed"] == 0) | own_end
    for column in ("step", "tokens", "flops", "train_loss", "val_loss", "lr"):
        np.testing.assert_array_equal(branched[column][trunk], plain[column])


def test_everything_that_a_branch_changes_is_put_back(
    compose: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def note(self: Snapshot, *_: object) -> None:
        module, (optimizer,) = self.module, self.module.trainer.optimizers
        seen.append(
            {
                "weights": {name: value.clone() for name, value in module.gpt.state_dict().items()},
                "buffers": {name: value.clone() for name, value in module.gpt.named_buffers()},
                "optimizer": copy.deepcopy(optimizer.state_dict()),
                "random": random_state(module.device),
                "modes": [part.training for part in module.modules()],
                "meter": (float(module.train_meter.nats), int(module.train_meter.tokens)),
            }
        )

    enter, leave = Snapshot.__enter__, Snapshot.__exit__
    monkeypatch.setattr(Snapshot, "__enter__", lambda self: (note(self), enter(self))[1])
    monkeypatch.setattr(Snapshot, "__exit__", lambda self, *error: (leave(self, *error), note(self))[0])
    _run(compose, tmp_path, "model.dropout=0.2", "pos=rope", "schedule.branches=2")
    before, after = seen
    leaves, shape = tree_flatten(before)
    others, other_shape = tree_flatten(after)
    assert other_shape == shape
    assert all(
        torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        for one, other in zip(leaves, others, strict=True)
    )


def test_a_branch_that_is_lost_ends_the_run(
    compose: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that is no number has no gain, and what is paid after it neither."""
    monkeypatch.setattr(WarmupStableDecay, "branch_factor", lambda *_: 1e6)
    _run(compose, tmp_path, "schedule.branches=3", "schedule.branch_ratio=2")
    record = load_run(tmp_path).record
    assert record.status == DIVERGED
    assert record.reason is not None
    assert record.reason.endswith("at step 6")
    assert record.steps == 3


def test_gains_use_the_end_points_alone(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    curve = _run(compose, tmp_path, "schedule.branches=3", "schedule.branch_ratio=2")
    (used,) = curves_from_runs([load_run(tmp_path)])
    assert used.costs["steps"].tolist() == [6, 12, 24]
    assert used.val_loss.tolist() == curve["val_loss"][curve["annealed"] == 1].tolist()


def test_too_many_branches_are_refused_before_training(compose: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="ask for fewer branches"):
        app.prepare(compose(*TINY_RUN, *WSD, "schedule.branches=9"))


def test_budgets_are_a_ratio_apart() -> None:
    schedule = WarmupStableDecay(
        warmup_steps=20,
        warmup_fraction=None,
        decay_fraction=0.2,
        final_fraction=0.0,
        branches=4,
        branch_ratio=2.0,
    )
    assert schedule.branches(1000) == ((100, 125), (200, 250), (400, 500))
    assert schedule.branch_factor(400, 400, 500) == 1.0
    assert schedule.branch_factor(450, 400, 500) == pytest.approx(0.5)
