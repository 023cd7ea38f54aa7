"""Annealed end points from one run: the same as runs of their own, and the trunk never knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.run import app, fit
from algoprog.runs.store import load_run
from algoprog.training.schedule import WarmupStableDecay
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
    branched = _run(compose, tmp_path / "branched", "schedule.branches=3", "schedule.branch_ratio=2", "model.dropout=0")
    ends = branched["annealed"] == 1
    assert branched["step"][ends].tolist() == [6, 12, 24]
    for step, loss in zip(branched["step"][ends], branched["val_loss"][ends], strict=True):
        alone = _run(compose, tmp_path / f"alone-{step}", f"budget.steps={step:.0f}")
        assert alone["step"][-1] == step
        np.testing.assert_allclose(alone["val_loss"][-1], loss, rtol=1e-5)


def test_the_trunk_is_bit_identical_with_and_without(compose: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    plain = _run(compose, tmp_path / "plain", "model.dropout=0.1")
    branched = _run(compose, tmp_path / "branched", "model.dropout=0.1", "schedule.branches=3")
    own_end = branched["step"] == 24
    trunk = (branched["annealed"] == 0) | own_end
    for column in ("step", "tokens", "flops", "train_loss", "val_loss", "lr"):
        np.testing.assert_array_equal(branched[column][trunk], plain[column])


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
