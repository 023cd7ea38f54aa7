"""Losses and statistics that parts report, parts that adapt, and optimizers made of two: trained, branched, resumed."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from algoprog import build
from algoprog.run import app, fit
from algoprog.run.spec import language_model
from algoprog.runs.record import CURVE_COLUMNS
from algoprog.runs.store import load_run
from algoprog.training.state.snapshot import Snapshot
from tests.configs import FLOATING_POINT_ORDER, TINY_RUN
from tests.training.planted.compiled import compare
from tests.training.planted.two_rates import TwoRates
from tests.training.resuming import EVERY_STEP, PATIENCE, finish, result, said
from tests.training.test_ranks import begin, end

TELLING = ("mlp._target_=tests.training.planted.telling.TellingMlp", "norm=ln")
TWO_RATES = ("optim._target_=tests.training.planted.two_rates.TwoRates",)
WORDS = (*TELLING, *TWO_RATES, "model.n_layers=2", "optim.lr=1e-2")
COLUMNS = ("busiest", "counted", "highest")
A_STEP = 4 * 32
"""Tokens."""

Compose = Callable[..., dict[str, Any]]


def run(compose: Compose, folder: Path, *words: str) -> Any:
    fit.run(app.prepare(compose(*TINY_RUN, *WORDS, "schedule.branches=1", *words)), folder, [])
    return load_run(folder)


def test_statistics_reach_curve_and_record_and_costs_stand_apart(compose: Compose, tmp_path: Path) -> None:
    found = run(compose, tmp_path)
    curve, record = found.curve, found.record
    assert tuple(curve) == (*CURVE_COLUMNS, "optimizer_flops", *COLUMNS)
    steps = np.diff(curve["step"])
    assert curve["counted"][1:].tolist() == (A_STEP * steps).tolist(), "tokens since the row before, in each layer"
    assert math.isnan(curve["counted"][0]), "nothing is trained yet"
    assert ((curve["busiest"][1:] > 1 / 4) & (curve["busiest"][1:] <= 1)).all()
    assert record.stats.keys() == {
        f"layer {n} {s}" for n in (0, 1) for s in ("load busiest", "load counted", "highest highest")
    }
    assert record.stats["layer 1 load counted"] == curve["counted"][-1]
    a_step = sum(2 * m * m * n for m, n in matrices(compose))
    assert curve["optimizer_flops"].tolist() == (a_step * curve["step"]).tolist()
    model = curve["tokens"] * record.train_flops_per_token
    assert (curve["flops"] - curve["optimizer_flops"]).tolist() == pytest.approx(model.tolist())
    assert record.train_flops == curve["flops"][-1]
    assert record.optimizer_flops == curve["optimizer_flops"][-1]


def matrices(compose: Compose) -> list[tuple[int, int]]:
    spec = app.prepare(compose(*TINY_RUN, *WORDS))
    model = build.skeleton(spec.config, build.dims_of(spec.config, spec.tokens))
    found = [shape for own in model.parameters_by_role() for shape in own.matrices()]
    assert len(found) == 2 + 2 * (3 + 1 + 2), "two tables; queries, keys and values apart"
    return found


def test_a_budget_in_flops_pays_for_the_optimizer(compose: Compose) -> None:
    spec = app.prepare(compose(*TINY_RUN, *WORDS))
    flops = spec.charged_flops(5)
    assert flops > 5 * spec.tokens_per_step * spec.flops_per_token
    again = app.prepare(compose(*TINY_RUN, *WORDS, "budget.steps=null", f"budget.flops={flops}"))
    assert again.total_steps == 5


def test_evaluation_is_plain_cross_entropy_and_training_is_not(compose: Compose) -> None:
    spec = app.prepare(compose(*TINY_RUN, *WORDS))
    module = language_model(spec)
    x = torch.arange(64).reshape(2, 32)
    plain = torch.nn.functional.cross_entropy(module.gpt(x).flatten(0, 1), x.flatten())
    assert module.loss((x, x)).item() == pytest.approx(plain.item(), rel=1e-6)
    assert module.training_step((x, x), 0).item() > plain.item() + 1e-6
    assert module.train_meter.compute()["loss"] == pytest.approx(plain.item(), rel=1e-6), (
        "the curve's loss is plain too"
    )


def test_a_cut_of_the_batch_changes_nothing(compose: Compose, tmp_path: Path) -> None:
    whole, cut = (run(compose, tmp_path / size, f"micro_batch_size={size}").curve for size in ("4", "1"))
    for column in ("val_loss", "train_loss", "counted", "busiest"):
        np.testing.assert_allclose(cut[column], whole[column], rtol=FLOATING_POINT_ORDER)


ENDS = ("budget.steps=24", "schedule.warmup_steps=0", "schedule.decay_fraction=0.5", "schedule.branch_ratio=2")


def test_branches_are_runs_of_their_own_and_leave_nothing_behind(compose: Compose, tmp_path: Path) -> None:
    plain = run(compose, tmp_path / "plain", *ENDS).curve
    branched = run(compose, tmp_path / "branched", *ENDS, "schedule.branches=2").curve
    alone = run(compose, tmp_path / "alone", *ENDS, "budget.steps=12").curve
    is_branch = (branched["annealed"] == 1) & (branched["step"] < 24)
    for column in plain.keys() - {"seconds"}:
        np.testing.assert_array_equal(branched[column][~is_branch], plain[column], err_msg=column)
    assert branched["val_loss"][is_branch].tolist() == [alone["val_loss"][-1]]


def test_the_rates_of_both_keep_their_ratio_and_a_step_is_that_of_each(compose: Compose) -> None:
    spec = app.prepare(compose(*TINY_RUN, *WORDS))
    module = language_model(spec)
    configured = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for _ in range(3):
        module.training_step((x := torch.arange(32)[None], x), 0).backward()
        optimizer.step()
        scheduler.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[2] == pytest.approx(10 * rates[0])
    assert len(optimizer.state) == len(list(module.gpt.parameters()))
    copy = TwoRates(lr=1.0, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)(module.gpt.parameters_by_role())
    copy.load_state_dict(optimizer.state_dict())
    assert [group["lr"] for group in copy.inner[1].param_groups] == rates[2:]
    for parameter, state in optimizer.state.items():
        assert copy.inner[0].state[parameter]["exp_avg"].equal(state["exp_avg"])


@pytest.mark.slow
def test_a_killed_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    words = (*WORDS, *EVERY_STEP, "evaluation.points=null", "evaluation.every=3")
    assert finish(tmp_path / "calm", *words)[0] == 0
    assert finish(tmp_path / "killed", *words, faults={"step": 5})[0] != 0
    assert finish(tmp_path / "killed", *words)[0] == 0
    assert result(tmp_path / "killed")[0] == result(tmp_path / "calm")[0]
    assert result(tmp_path / "killed")[1]["stats"] == result(tmp_path / "calm")[1]["stats"]


def test_the_buffer_adapts_and_a_branch_puts_it_back(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    enter, leave = Snapshot.__enter__, Snapshot.__exit__

    def note(self: Snapshot) -> None:
        seen.append(self.module.gpt.blocks[0].mlp.lift.clone())

    monkeypatch.setattr(Snapshot, "__enter__", lambda self: (note(self), enter(self))[1])
    monkeypatch.setattr(Snapshot, "__exit__", lambda self, *error: (note(self), leave(self, *error), note(self))[1])
    run(compose, tmp_path, *ENDS, "schedule.branches=2")
    before, branched, after = seen
    assert before.abs().max() > 0
    assert not branched.equal(before)
    assert after.equal(before)


@pytest.mark.slow
def test_a_compiled_model_reports_alike() -> None:
    process = multiprocessing.get_context("forkserver").Process(target=compare)
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_two_devices_tell_what_one_tells(compose: Compose, tmp_path: Path, strategy: str) -> None:
    """Buffers adapt by the load of all devices, and curves hold it; slowly, so that no rounding tips a count."""
    alone = run(compose, tmp_path / "alone", "optim.lr=1e-4").curve
    words = (*WORDS, "schedule.branches=1", "optim.lr=1e-4", f"trainer.strategy={strategy}")
    assert end(begin(tmp_path / "both", *words)) == [0, 0], said(tmp_path / "both")
    both = load_run(tmp_path / "both")
    assert both.record.n_devices == 2
    for column in ("val_loss", "train_loss", *COLUMNS, "optimizer_flops"):
        np.testing.assert_allclose(both.curve[column], alone[column], rtol=FLOATING_POINT_ORDER, err_msg=column)
