"""Learning-rate schedules."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from algoprog import build
from algoprog.training.schedule import Schedule
from tests.configs import compose

SCHEDULES = ("constant", "cosine", "linear", "wsd")
TOTAL = 1000


def schedule(name: str, **knobs: Any) -> Schedule:
    config = compose(f"schedule={name}")
    assert knobs.keys() <= config["schedule"].keys()
    other = {"warmup_fraction": "warmup_steps", "warmup_steps": "warmup_fraction"}
    replaced = {other[knob]: None for knob in knobs if knob in other}
    config["schedule"].update({**replaced, **knobs})
    return build.construct(config, "schedule")


def end(name: str) -> dict[str, float]:
    return {} if name == "constant" else {"final_fraction": 0.1}


@pytest.mark.parametrize("name", SCHEDULES)
def test_values_at_the_ends(name: str) -> None:
    one = schedule(name, warmup_fraction=0.1, **end(name))
    assert one.factor(0, TOTAL) == 1 / 101, "the first update is small, but it is one"
    assert one.factor(99, TOTAL) == 100 / 101
    assert one.factor(100, TOTAL) == 1
    last = 1.0 if name == "constant" else 0.1
    assert one.factor(TOTAL, TOTAL) == pytest.approx(last)
    assert one.factor(TOTAL - 1, TOTAL) == pytest.approx(last, abs=0.01)


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_warm_up_it_starts_at_the_peak(name: str) -> None:
    assert schedule(name, warmup_fraction=0.0, **end(name)).factor(0, TOTAL) == 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_rises_and_falls_without_jumps(name: str) -> None:
    one = schedule(name, warmup_fraction=0.1, **end(name))
    factors = [one.factor(step, TOTAL) for step in range(TOTAL + 1)]
    steps = [after - before for before, after in pairwise(factors)]
    assert all(step > 0 for step in steps[:100])
    assert all(step <= 1e-12 for step in steps[100:])
    assert max(map(abs, steps)) < 0.011
    assert all(0 < factor <= 1 for factor in factors)


def test_shapes_half_way() -> None:
    knobs = {"warmup_fraction": 0.0, "final_fraction": 0.1}
    assert schedule("cosine", **knobs).factor(TOTAL // 2, TOTAL) == pytest.approx(0.55)
    assert schedule("cosine", **knobs).factor(TOTAL // 4, TOTAL) == pytest.approx(0.1 + 0.9 * (1 + 0.5**0.5) / 2)
    assert schedule("linear", **knobs).factor(TOTAL // 4, TOTAL) == pytest.approx(0.775)


def test_wsd_is_stable_until_the_decay_of_all_steps() -> None:
    one = schedule("wsd", warmup_fraction=0.1, decay_fraction=0.2, final_fraction=0.0)
    assert {one.factor(step, TOTAL) for step in range(100, 801)} == {1.0}
    assert one.factor(850, TOTAL) == pytest.approx(0.75)
    assert one.factor(900, TOTAL) == pytest.approx(0.5)
    assert one.factor(1000, TOTAL) == pytest.approx(0, abs=1e-12)


def test_wsd_without_a_plateau() -> None:
    one = schedule("wsd", warmup_fraction=0.5, decay_fraction=0.5, final_fraction=0.0)
    assert one.factor(500, TOTAL) == 1
    assert one.factor(750, TOTAL) == pytest.approx(0.5)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total", [1, 2, 3])
def test_shortest_runs(name: str, total: int) -> None:
    factors = [schedule(name).factor(step, total) for step in range(total + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[0] > 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_of_a_length_is_the_same_in_every_budget(name: str) -> None:
    one = schedule(name, warmup_steps=20)
    assert [one.factor(step, 60) for step in range(20)] == [one.factor(step, 5000) for step in range(20)]
    assert one.factor(20, 60) == one.factor(20, 5000) == 1


@pytest.mark.parametrize("total", [1, 2, 5, 10, 30, 60])
def test_a_short_run_warms_up_for_half_of_what_comes_before_its_decay(total: int) -> None:
    one = schedule("wsd", warmup_steps=20)
    assert one.warmup(total) == min(20, round(0.8 * total) // 2)
    factors = [one.factor(step, total) for step in range(total)]
    assert factors == [*sorted(factors[: one.warmup(total) + 1]), *sorted(factors[one.warmup(total) + 1 :])[::-1]]


@pytest.mark.parametrize(
    ("total", "ends"),
    [
        (500, [66, 99, 148, 222, 333]),
        (5000, [658, 988, 1481, 2222, 3333]),
        (400, [53, 79, 119, 178, 267]),
        (200, [59, 89, 133]),
        (100, [67]),
        (75, [50]),
        (70, []),
        (4, []),
        (1, []),
    ],
)
def test_as_many_ends_as_have_room(total: int, ends: list[int]) -> None:
    one = schedule("wsd")
    branches = one.branches(total)
    assert [end for _, end in branches] == ends
    assert one.settled(total) == {"branches": len(ends) + 1}
    for start, end in branches:
        assert one.warmup(end) == one.warmup(total) == 20, "the warm-up is whole in a run of that budget too"
        assert 40 <= start <= end - 5
        assert all(one.factor(step, total) == one.factor(step, end) for step in range(start)), "the trunk knows no end"
        assert one.branch_factor(end - 1, start, end) == one.factor(end - 1, end) < 0.4


def test_a_number_of_ends_is_settled() -> None:
    assert schedule("wsd", branches=3).settled(500) == {"branches": 3}
    assert schedule("cosine").settled(500) == {}


def test_only_a_constant_rate_is_not_annealed() -> None:
    assert [name for name in SCHEDULES if not schedule(name).anneals(500)] == ["constant"]


@pytest.mark.parametrize(
    ("name", "knobs", "sentence"),
    [
        ("cosine", {"warmup_fraction": 1.5}, "schedule.warmup_fraction=1.5 must lie between 0 and 1"),
        ("linear", {"final_fraction": -0.1}, "schedule.final_fraction=-0.1 must lie between 0 and 1"),
        ("linear", {"warmup_steps": -1}, "schedule.warmup_steps=-1 must be at least 0"),
        ("wsd", {"branches": 0}, "schedule.branches=0 must be auto or at least 1"),
        ("wsd", {"decay_fraction": 2.0}, "schedule.decay_fraction=2 must lie between 0 and 1"),
        ("wsd", {"warmup_fraction": 0.6, "decay_fraction": 0.6}, "together exceed 1: lower one"),
    ],
)
def test_refusals(name: str, knobs: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        schedule(name, **knobs)


@pytest.mark.parametrize("knobs", [{"warmup_steps": 40}, {"warmup_fraction": 0.04}], ids=str)
def test_inverse_sqrt_is_equation_3_of_vaswani(knobs: dict[str, float]) -> None:
    """Proportional to min(step^-.5, step warm-up^-1.5), which is 1 / sqrt(warm-up) at its highest."""
    one = schedule("inverse_sqrt", **knobs)
    for step in (40, 41, 160, 999, 1000):
        assert one.factor(step, TOTAL) == pytest.approx(step**-0.5 / 40**-0.5)
    assert one.factor(0, TOTAL) == 1 / 41
    assert one.factor(39, TOTAL) == 40 / 41


@pytest.mark.parametrize("knobs", [{"warmup_steps": 0}, {"warmup_fraction": 0.0}], ids=str)
def test_inverse_sqrt_needs_a_warm_up(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"falls from the end of its warm-up: give schedule\.warmup_steps above 0"):
        schedule("inverse_sqrt", **knobs)
