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
    config["schedule"].update(knobs)
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


@pytest.mark.parametrize(
    ("name", "knobs", "sentence"),
    [
        ("cosine", {"warmup_fraction": 1.5}, "schedule.warmup_fraction=1.5 must lie between 0 and 1"),
        ("linear", {"final_fraction": -0.1}, "schedule.final_fraction=-0.1 must lie between 0 and 1"),
        ("wsd", {"decay_fraction": 2.0}, "schedule.decay_fraction=2 must lie between 0 and 1"),
        ("wsd", {"warmup_fraction": 0.6, "decay_fraction": 0.6}, "together exceed 1: lower one"),
    ],
)
def test_refusals(name: str, knobs: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        schedule(name, **knobs)
