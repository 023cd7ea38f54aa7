"""What training minimises, against torch and its formula; evaluation stays plain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from algoprog import build
from algoprog.run import app, fit
from algoprog.run.stacking import alone_because
from algoprog.runs.store import load_run
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN, compose, part

LOGITS = 3 * torch.randn(11, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TARGETS = torch.arange(11) % 7
LARGE = {
    "z_loss": ("objective.weight=0.5",),
    "label_smoothing": ("objective.share=0.3",),
    "multi_token": ("objective.n_future=2",),
}


def objective(name: str, **knobs: Any) -> Any:
    return build.construct({"objective": part("objective", name, **knobs)}, "objective")


def test_smoothed_targets_are_torch_s() -> None:
    own = F.cross_entropy(LOGITS, TARGETS) + objective("label_smoothing", share=0.3).added(LOGITS, TARGETS)
    torch.testing.assert_close(own, F.cross_entropy(LOGITS, TARGETS, label_smoothing=0.3))


def test_z_loss_is_its_formula() -> None:
    """Chowdhery et al. 2022, section 5: weight * log^2 Z."""
    z = np.exp(LOGITS.numpy()).sum(axis=-1)
    own = objective("z_loss", weight=0.01).added(LOGITS, TARGETS)
    np.testing.assert_allclose(own.item(), 0.01 * (np.log(z) ** 2).mean(), rtol=1e-12)


@pytest.mark.parametrize("name", LARGE)
def test_training_minimises_it_and_evaluation_does_not_see_it(tmp_path: Path, name: str) -> None:
    """From the same weights the same first loss, another gradient, and no other curve for another cut of the batch."""

    def curve(folder: str, *words: str) -> Any:
        fit.run(app.prepare(compose(*TINY_RUN, "optim.lr=1e-2", *words)), tmp_path / folder, [])
        return load_run(tmp_path / folder).curve

    plain, own = curve("plain"), curve("own", f"objective={name}", *LARGE[name])
    cut = curve("cut", f"objective={name}", *LARGE[name], "micro_batch_size=1")
    assert own["val_loss"][0] == plain["val_loss"][0]
    assert own["val_loss"][-1] != plain["val_loss"][-1]
    assert own["train_loss"][1] < 1.05 * plain["train_loss"][1], "cross-entropy alone is told"
    assert own["val_loss"].tolist() == pytest.approx(cut["val_loss"].tolist(), rel=FLOATING_POINT_ORDER)


def test_ignored_targets_take_no_part() -> None:
    spec = app.prepare(compose(*TINY_RUN, "objective=z_loss", "objective.weight=1"))
    from algoprog.model.interface.reports import Reports
    from algoprog.run.spec import language_model

    module = language_model(spec)
    inputs = torch.arange(64).reshape(2, 32)
    told = [Reports(), Reports()]
    module.loss((inputs[:1], inputs[:1]), told[0])
    module.loss((inputs, torch.stack((inputs[0], torch.full((32,), -100)))), told[1])
    torch.testing.assert_close(*(reports.losses[0] for reports in told))


def test_it_keeps_a_run_alone_and_stands_in_its_name() -> None:
    spec = app.prepare(compose(*TINY_RUN, "objective=z_loss"))
    assert spec.variant == "z_loss"
    assert spec.cohort == app.prepare(compose(*TINY_RUN)).cohort
    assert alone_because(spec) == "its objective is more than the cross-entropy of the next token"


@pytest.mark.parametrize(
    ("name", "knobs", "word"),
    [("z_loss", {"weight": 0.0}, r"weight=0\.0"), ("label_smoothing", {"share": 1.0}, r"share=1\.0")],
)
def test_impossible_objectives_are_refused(name: str, knobs: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=rf"objective={name}: objective\.{word}"):
        objective(name, **knobs)
