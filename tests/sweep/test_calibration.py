"""A time for models that were never run here: measured once, remembered, and never at length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from algoprog import build
from algoprog.config import conf_dir
from algoprog.run.spec import RunSpec, priced
from algoprog.sweep.engine.devices import DeviceShare, cores
from algoprog.sweep.engine.job import Job
from algoprog.sweep.engine.together import Shape
from algoprog.sweep.plan import calibration, speed
from algoprog.sweep.plan import members as plan_members
from algoprog.sweep.plan.calibration import FILE, Calibration
from algoprog.sweep.plan.expected import expected_time, time_text
from algoprog.sweep.plan.members import times_as_fast
from algoprog.sweep.plan.pace import Pace
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan
from algoprog.sweep.plan.speed import Speed, speed_beside, speed_here
from algoprog.sweep.plan.wall import ANALYSIS, RUN, START, STEP, Machine, wall_seconds
from algoprog.training.devices.hardware import Gpus
from tests.configs import TINY_RUN

NONE = Gpus(0, 0)
KNOBS = yaml.safe_load((conf_dir() / "hydra" / "launcher" / "local.yaml").read_text())
WHERE = Placement("basic", {}, NONE, None)


@pytest.fixture
def spec(compose: Callable[..., dict[str, Any]]) -> Callable[..., RunSpec]:
    def spec(*words: str) -> RunSpec:
        config = compose(*TINY_RUN, *words)
        return priced(config, build.tokens(config))

    return spec


SECOND = Speed(micro_batch=1.0, step=0.5, evaluation=0.25)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[RunSpec]:
    """The runs that are measured, each at the same speed."""
    found: list[RunSpec] = []

    def of(spec: RunSpec, threads: int) -> Speed:
        found.append(spec)
        return SECOND

    monkeypatch.setattr(calibration, "speed_here", of)
    return found


def test_a_speed_is_measured_and_leaves_no_trace(spec: Callable[..., RunSpec]) -> None:
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    found = speed_here(spec(), 2)
    assert found.micro_batch > found.evaluation > 0
    assert found.step > 0
    assert torch.get_rng_state().equal(random)
    assert torch.get_num_threads() == threads


def test_of_an_expensive_model_a_few_layers_are_measured(
    spec: Callable[..., RunSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    deep, seen = spec("model.n_layers=9"), []
    monkeypatch.setattr(speed, "MOST_FLOPS", 1.0)

    def measured(part: RunSpec, sequences: int) -> Speed:
        layers = part.config["model"]["n_layers"]
        seen.append((layers, sequences))
        return Speed(3.0 + layers, 2.0 * layers, 1.0)

    monkeypatch.setattr(speed, "_measured", measured)
    assert speed_here(deep, 1) == Speed(2 * (3.0 + 9), 18.0, 2.0)  # of a micro-batch of two sequences
    assert seen == [(1, 1), (2, 1)]


def test_it_is_remembered_for_what_it_depends_on(
    spec: Callable[..., RunSpec], tmp_path: Path, measured: list[RunSpec]
) -> None:
    for words in ((), ("seed=1", "budget.steps=60")):
        assert Calibration(tmp_path, 2, 60.0).speed(spec(*words)) == SECOND
    assert len(measured) == 1
    for number, some in enumerate((("attention=mqa",), ("optim=sgd",), ("micro_batch_size=4",)), start=2):
        Calibration(tmp_path, 2, 60.0).speed(spec(*some))
        assert len(measured) == number
    Calibration(tmp_path, 1, 60.0).speed(spec())
    assert len(measured) == 5
    for unreadable in ("damaged", '{"as formerly written": 3.5}'):
        (tmp_path / FILE).write_text(unreadable)
        assert Calibration(tmp_path, 2, 60.0).speed(spec()) == SECOND
    assert len(measured) == 7


def test_when_the_time_is_up_other_models_lend_their_speed(
    spec: Callable[..., RunSpec], tmp_path: Path, measured: list[RunSpec]
) -> None:
    assert Calibration(tmp_path, 1, 0.0).speed(spec()) is None
    some = Calibration(tmp_path, 1, 1e-9)
    assert some.speed(spec()) == SECOND
    twice = some.speed(spec("attention=mqa", "micro_batch_size=4"))
    assert twice is not None
    assert twice.micro_batch == pytest.approx(2, rel=0.2)
    assert len(measured) == 1


@pytest.mark.slow
def test_runs_at_the_same_time_are_measured_at_the_same_time(spec: Callable[..., RunSpec]) -> None:
    found = speed_beside(spec(), 1, 2)
    assert found is not None
    assert found.micro_batch > 0


@pytest.mark.usefixtures("measured")
def test_steps_branches_and_evaluations_take_time(spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    words = ("schedule=wsd", "schedule.decay_fraction=0.4", "schedule.warmup_steps=1", "budget.steps=16")
    alone, branched = spec(*words, "schedule.branches=1"), spec(*words, "schedule.branches=2")
    pace = Pace(tmp_path / "none", NONE, Calibration(tmp_path, 1, 9.0))
    one, two = pace.expected(alone), pace.expected(branched)
    assert one is not None
    assert two is not None
    an_evaluation = 4 * SECOND.evaluation  # 256 tokens: eight windows, two at a time
    a_step = 2 * SECOND.micro_batch + SECOND.step
    assert one.seconds == pytest.approx(16 * a_step + len(alone.evaluation_steps()) * an_evaluation)
    further = branched.paid_steps - 16
    assert further > 0
    assert two.seconds == pytest.approx(one.seconds + further * a_step + an_evaluation)
    assert Pace(tmp_path / "none", NONE).expected(alone) is None


@pytest.mark.usefixtures("measured")
def test_a_sweep_says_what_it_takes_unless_it_is_short(spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    long = spec("budget.steps=10000000", f"cache_dir={tmp_path}")
    said = expected_time(Plan(todo=[(long, [])], at_once=2), WHERE, tmp_path)
    assert said.startswith("expected: ")
    assert said.endswith(" d with 2 at a time, by a few steps of the models here")
    assert expected_time(Plan(todo=[(spec(), [])], at_once=2), WHERE, tmp_path) == ""


def test_a_sweep_takes_its_phases_its_start_and_its_analysis() -> None:
    machine = Machine(at_once=2, composing=0.5)
    assert machine.phase([]) == 0
    assert machine.phase([3.0]) == 3
    assert machine.phase([1.0, 4.0, 2.0, 2.0]) == 5  # in their order, each where a share is free
    assert machine.run(10.0, 1000) == 10 + 0.5 * (RUN + 1000 * STEP)
    assert machine.sweep([[3.0], [], [1.0, 1.0]]) == 4 + 0.5 * (START + ANALYSIS)


@pytest.mark.usefixtures("measured")
def test_members_are_planned_to_be_as_fast_as_they_are_together(
    spec: Callable[..., RunSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def members_gain(job: Job, shape: Shape, size: int, share: DeviceShare) -> float:
        asked.append((job.folder.name, size, int(share["OMP_NUM_THREADS"])))
        return 2.5

    monkeypatch.setattr(plan_members, "measured", members_gain)
    runs = [spec(f"seed={number}", f"cache_dir={tmp_path}") for number in range(4)]
    planned = Plan(todo=[(run, [f"seed={run.seed}"]) for run in runs], at_once=1)

    def faster(together: str | int, launcher: str = "local") -> dict[str, float]:
        knobs = {name: value for name, value in KNOBS.items() if name != "_target_"}
        return times_as_fast(planned, Placement(launcher, {**knobs, "together": together}, NONE, None), tmp_path)

    assert faster("off") == faster(2, "slurm") == {}
    assert not asked
    assert faster(2) == {run.name: 2.5 for run in runs}
    assert asked == [(runs[0].name, 2, cores())], "the share of the only run at a time"
    pace = Pace(tmp_path / "none", NONE, Calibration(tmp_path, 1, 10.0, 1))
    alone, together = (wall_seconds([runs], pace, Machine(1, composing=0.0), times) for times in ({}, faster(2)))
    assert together is not None
    assert alone == pytest.approx(2.5 * together)


def test_times_are_told_in_their_unit() -> None:
    assert [time_text(t) for t in (3, 90, 7200, 400000)] == ["3 s", "2 min", "2.0 h", "4.6 d"]
