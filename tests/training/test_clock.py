"""Seconds in which only training happens."""

from __future__ import annotations

import pytest
import torch

from algoprog.training.clock import WARMUP_STEPS, Clock
from tests.configs import Time

CPU = torch.device("cpu")


def test_pauses_do_not_count(time: Time) -> None:
    clock = Clock(CPU)
    assert clock.seconds == 0
    for round_ in (1, 2):
        clock.start()
        time.now += 2
        assert clock.seconds == 2 * round_, "it can be read while it runs"
        clock.stop()
        time.now += 10
        assert clock.seconds == 2 * round_


def test_speed_leaves_out_the_warm_up(time: Time) -> None:
    clock = Clock(CPU)
    clock.start()
    for step in range(1, WARMUP_STEPS + 11):
        time.now += 10 if step <= WARMUP_STEPS else 0.5
        clock.step_done(step)
    clock.stop()
    assert clock.steps_per_second(WARMUP_STEPS + 10) == 2


def test_speed_of_short_runs(time: Time) -> None:
    clock = Clock(CPU)
    assert clock.steps_per_second(0) == 0
    clock.start()
    time.now += 4
    clock.step_done(1)
    clock.stop()
    assert clock.steps_per_second(1) == 1 / 4


def test_the_clock_is_the_machine_s() -> None:
    clock = Clock(CPU)
    clock.start()
    torch.randn(100, 100).sum()
    clock.stop()
    assert clock.seconds > 0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)
