"""When the processes of a run look at each other's wishes."""

from __future__ import annotations

import time

import lightning as L
import torch

ANSWER_SECONDS = 4.0
"""A wish, such as that of a signal, waits for this long or for one optimizer step."""

MOST_STEPS = 100
"""Between two looks, should the steps become slower; a look makes the processes wait for each other."""


def steps_between(seconds: float) -> int:
    """Optimizer steps until the next look, where one takes so long."""
    return MOST_STEPS if seconds * MOST_STEPS <= ANSWER_SECONDS else max(1, int(ANSWER_SECONDS / seconds))


class Agreement:
    """A wish of any process is a wish of all, from the next look on.

    The next look is set at each, by what a step took on the slowest process since the one before, evaluations included.
    """

    def __init__(self) -> None:
        self._step, self._time, self._next = 0, 0.0, 0

    def start(self, step: int) -> None:
        """Look after the first step: how long a step takes is not known."""
        self._step, self._time, self._next = step, time.monotonic(), step + 1

    def on(self, trainer: L.Trainer, *wishes: bool) -> list[bool]:
        """Which of the wishes any process has; none between two looks."""
        if trainer.world_size == 1:
            return list(wishes)
        step, now = trainer.global_step, time.monotonic()
        if step < self._next:
            return [False] * len(wishes)
        own = torch.tensor([*wishes, (now - self._time) / (step - self._step)], device=trainer.strategy.root_device)
        *agreed, took = trainer.strategy.reduce(own, reduce_op="max").tolist()
        self._step, self._time, self._next = step, now, step + steps_between(took)
        return [bool(wish) for wish in agreed]
