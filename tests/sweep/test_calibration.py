"""A time for models that were never run here: measured once, remembered, and never at length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from algoprog import build
from algoprog.run.spec import RunSpec, priced
from algoprog.sweep.plan import calibration
from algoprog.sweep.plan.calibration import FILE, Calibration
from algoprog.sweep.plan.expected import expected_time, time_text
from algoprog.sweep.plan.pace import Pace
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan
from algoprog.training.devices.hardware import Gpus
from tests.configs import TINY_RUN

NONE = Gpus(0, 0)
WHERE = Placement("basic", {}, NONE, None)


@pytest.fixture
def spec(compose: Callable[..., dict[str, Any]]) -> Callable[..., RunSpec]:
    def spec(*words: str) -> RunSpec:
        config = compose(*TINY_RUN, *words)
        return priced(config, build.tokens(config))

    return spec


def test_a_speed_is_measured_once_and_remembered(
    spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    first = Calibration(tmp_path, 2, 60.0).flops_per_second(spec())
    assert first is not None
    assert first > 0
    assert torch.get_rng_state().equal(random)
    assert torch.get_num_threads() == threads
    monkeypatch.setattr(calibration, "_speed", lambda _: 1.0)
    assert Calibration(tmp_path, 2, 60.0).flops_per_second(spec("seed=1", "budget.steps=60")) == first
    assert Calibration(tmp_path, 1, 60.0).flops_per_second(spec()) == 1.0
    assert Calibration(tmp_path, 2, 60.0).flops_per_second(spec("attention=mqa")) == 1.0
    (tmp_path / FILE).write_text("damaged")
    assert Calibration(tmp_path, 2, 60.0).flops_per_second(spec()) == 1.0


def test_when_the_time_is_up_other_models_lend_their_speed(
    spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Calibration(tmp_path, 1, 0.0).flops_per_second(spec()) is None
    monkeypatch.setattr(calibration, "_speed", lambda _: 7.0)
    some = Calibration(tmp_path, 1, 1e-9)
    assert some.flops_per_second(spec()) == 7.0
    monkeypatch.setattr(calibration, "_speed", lambda _: pytest.fail("measured"))
    assert some.flops_per_second(spec("attention=mqa")) == 7.0


def test_branches_and_evaluations_take_time(
    spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_speed", lambda _: 1.0)
    words = ("schedule=wsd", "schedule.decay_fraction=0.4", "schedule.warmup_steps=1", "budget.steps=16")
    alone, branched = spec(*words, "schedule.branches=1"), spec(*words, "schedule.branches=2")
    pace = Pace(tmp_path / "none", NONE, Calibration(tmp_path, 1, 9.0))
    one, two = pace.expected(alone), pace.expected(branched)
    assert one is not None
    assert two is not None
    a_forward = alone.flops_per_token / 3 * 256
    assert one.seconds == pytest.approx(alone.total_flops + len(alone.evaluation_steps()) * a_forward)
    assert two.seconds == pytest.approx(one.seconds + branched.paid_flops - branched.total_flops + a_forward)
    assert Pace(tmp_path / "none", NONE).expected(alone) is None


def test_a_sweep_says_what_it_takes_unless_it_is_short(
    spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_speed", lambda _: 1e9)
    long = spec("budget.steps=10000000", f"cache_dir={tmp_path}")
    said = expected_time(Plan(todo=[(long, [])], at_once=2), WHERE, tmp_path)
    hours = (long.paid_flops + long.evaluation_flops) / 1e9 / 3600
    assert said == f"expected: {time_text(hours * 3600)} with 2 at a time, by a few passes of the models here"
    monkeypatch.setattr(calibration, "_speed", lambda _: pytest.fail("measured"))
    assert expected_time(Plan(todo=[(spec(), [])], at_once=2), WHERE, tmp_path) == ""


def test_times_are_told_in_their_unit() -> None:
    assert [time_text(t) for t in (3, 90, 7200, 400000)] == ["3 s", "2 min", "2.0 h", "4.6 d"]
