"""Time spent on training alone, and the speed that follows from it."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from algoprog.training.devices.hardware import synchronize

WARMUP_STEPS = 3
"""Steps left out of the speed: compilation, allocation and caches."""


class Clock:
    """Counts the seconds between `start` and `stop`, in which only training happens."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._banked = 0.0
        self._started: float | None = None
        self._warm: tuple[int, float] | None = None  # step and seconds after the warm-up

    @property
    def seconds(self) -> float:
        """Training time so far."""
        running = time.perf_counter() - self._started if self._started is not None else 0.0
        return self._banked + running

    def start(self) -> None:
        """Training goes on."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Training pauses, for an evaluation or for good."""
        synchronize(self.device)
        self._banked, self._started = self.seconds, None

    def state_dict(self) -> dict[str, Any]:
        """Seconds so far and where the speed is counted from, while the clock is stopped."""
        return {"seconds": self._banked, "warm": self._warm}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._banked, self._warm = state["seconds"], state["warm"]

    def step_done(self, step: int) -> None:
        """Note the end of an optimizer step."""
        if step == WARMUP_STEPS:
            synchronize(self.device)
            self._warm = step, self.seconds

    def steps_per_second(self, step: int) -> float:
        """Mean speed behind the warm-up steps, or from the start for runs that are shorter; 0 before any step.

        NaN where the seconds are not known, or were not before a checkpoint.
        """
        since, at = self._warm if self._warm and step > self._warm[0] else (0, 0.0)
        elapsed = self.seconds - at
        return 0.0 if elapsed <= 0 else (step - since) / elapsed


class SharedClock(Clock):
    """Of a run that trains together with others: nobody knows what it would have taken alone."""

    @property
    def seconds(self) -> float:
        """NaN."""
        return math.nan
