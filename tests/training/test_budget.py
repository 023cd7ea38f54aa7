"""How long a run trains and where it is evaluated."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprog.training.budget import evaluation_steps, steps

UNITS = ("steps", "tokens", "flops", "tokens_per_param")


def budget(**chosen: float) -> dict[str, float | None]:
    return {unit: chosen.get(unit) for unit in UNITS}


def spent(**chosen: float) -> int:
    return steps(budget(**chosen), tokens_per_step=1000, flops_per_step=1000 * 6e6, n_body_params=500_000)


def test_four_units_for_one_length() -> None:
    assert spent(steps=250) == 250
    assert spent(tokens=250e3) == 250
    assert spent(flops=250e3 * 6e6) == 250
    assert spent(tokens_per_param=0.5) == 250


def test_rounds_to_the_nearest_step_and_takes_one_at_least() -> None:
    assert spent(tokens=1499) == 1
    assert spent(tokens=1501) == 2
    assert spent(tokens=1) == 1


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({}, "exactly one of budget.steps|tokens|flops|tokens_per_param must be set, not none"),
        ({"steps": 5, "tokens": 7}, "not budget.steps=5 and budget.tokens=7: set the others to null"),
        ({"steps": 0}, "budget.steps=0 must be positive"),
        ({"flops": -1}, "budget.flops=-1 must be positive"),
        ({"tokens": float("nan")}, "budget.tokens=nan must be positive"),
        ({"tokens": float("inf")}, "budget.tokens=inf must be positive"),
    ],
)
def test_refusals_of_budgets(chosen: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - compared below
        spent(**chosen)
    assert sentence in str(refusal.value)


@given(total=st.integers(1, 60_000), points=st.integers(2, 200))
def test_points_hold_both_ends(total: int, points: int) -> None:
    at = evaluation_steps(total, points=points, every=None)
    assert {0, total} <= at
    assert at <= set(range(total + 1))
    assert len(at) <= points + 1


def test_points_are_dense_early_and_never_sparse_late() -> None:
    at = sorted(evaluation_steps(10_000, points=40, every=None))
    assert 35 <= len(at) <= 41
    assert sum(step <= 100 for step in at) >= 8, "where the loss falls fast"
    assert max(after - before for before, after in pairwise(at)) <= 10_000 / 20 + 1


def test_short_runs_are_evaluated_at_every_step() -> None:
    assert evaluation_steps(3, points=40, every=None) == {0, 1, 2, 3}


def test_every() -> None:
    assert evaluation_steps(50_000, points=None, every=500) == set(range(0, 50_001, 500))
    assert evaluation_steps(7, points=None, every=3) == {0, 3, 6, 7}
    assert evaluation_steps(2, points=None, every=500) == {0, 2}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"points": None, "every": None}, "exactly one of evaluation.points and evaluation.every"),
        ({"points": 4, "every": 4}, "exactly one of evaluation.points and evaluation.every"),
        ({"points": 1, "every": None}, "evaluation.points=1 must be at least 2"),
        ({"points": None, "every": 0}, "evaluation.every=0 must be at least 1"),
    ],
)
def test_refusals_of_evaluations(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        evaluation_steps(10, **chosen)
