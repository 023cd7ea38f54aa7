"""Seconds in which only training happens."""

from __future__ import annotations

import time

import pytest
import torch

from algoprog.training.clock import WARMUP_STEPS, Clock

CPU = torch.device("cpu")


def test_pauses_do_not_count() -> None:
    clock = Clock(CPU)
    assert clock.seconds == 0
    for _ in range(2):
        clock.start()
        time.sleep(0.02)
        clock.stop()
        banked = clock.seconds
        time.sleep(0.1)
        assert clock.seconds == banked
    assert 0.04 <= clock.seconds < 0.14


def test_speed_leaves_out_the_warm_up() -> None:
    clock = Clock(CPU)
    clock.start()
    for step in range(1, WARMUP_STEPS + 11):
        time.sleep(0.1 if step <= WARMUP_STEPS else 0.005)
        clock.step_done(step)
    clock.stop()
    assert clock.steps_per_second(WARMUP_STEPS + 10) > 2 * (WARMUP_STEPS + 10) / clock.seconds


def test_speed_of_short_runs() -> None:
    clock = Clock(CPU)
    assert clock.steps_per_second(0) == 0
    clock.start()
    time.sleep(0.01)
    clock.step_done(1)
    clock.stop()
    assert clock.steps_per_second(1) == pytest.approx(1 / clock.seconds)
