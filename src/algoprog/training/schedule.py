"""Learning-rate schedules: the factor on the peak learning rate at every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

AUTO = "auto"
MOST_ENDS = 6
"""Annealed ends that `branches=auto` asks for, where there is room for as many."""

ROOM = 2
"""An end has room where its decay begins after at least this many times its warm-up."""

LEAST_DECAY = 5
"""Steps of decay without which `branches=auto` sees no room for an end."""


class Schedule(ABC):
    """A linear warm-up, then a shape of its own.

    The warm-up is a length, which runs of every budget share, or a share of all steps. A length is cut to half of the
    steps before the decay where a run is too short for it.

    Args:
        warmup_steps: optimizer steps of the warm-up; None where the share is given.
        warmup_fraction: share of all steps spent on the warm-up; None where the length is given.

    Raises:
        ValueError: not exactly one is set, the length is negative, or the share lies outside 0 to 1.
    """

    def __init__(self, *, warmup_steps: int | None, warmup_fraction: float | None) -> None:
        if (warmup_steps is None) == (warmup_fraction is None):
            raise ValueError(
                f"exactly one of schedule.warmup_steps={_word(warmup_steps)} and"
                f" schedule.warmup_fraction={_word(warmup_fraction)} must be set: set the other to null"
            )
        if warmup_steps is not None and warmup_steps < 0:
            raise ValueError(f"schedule.warmup_steps={warmup_steps} must be at least 0")
        self.warmup_steps = warmup_steps
        self.warmup_fraction = None if warmup_fraction is None else _fraction("warmup_fraction", warmup_fraction)

    def warmup(self, total_steps: int) -> int:
        """Optimizer steps of the warm-up of a run."""
        if self.warmup_fraction is not None:
            return round(self.warmup_fraction * total_steps)
        assert self.warmup_steps is not None
        return min(self.warmup_steps, self.decay_start(total_steps) // ROOM)

    def decay_start(self, total_steps: int) -> int:
        """Steps before the learning rate is taken down at the end of a run; all where there is no such moment."""
        return total_steps

    def factor(self, step: int, total_steps: int) -> float:
        """Factor on the peak learning rate for the update number `step`, counted from 0."""
        warmup = self.warmup(total_steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        share = warmup / total_steps if self.warmup_fraction is None else self.warmup_fraction
        return self.after_warmup((step - warmup) / max(1, total_steps - warmup), share)

    def anneals(self, total_steps: int) -> bool:
        """Whether a run ends below the peak."""
        return self.factor(total_steps, total_steps) < 1

    def settled(self, total_steps: int) -> dict[str, Any]:
        """The knobs that were left to the length of the run, with their values."""
        return {}

    def branches(self, total_steps: int) -> tuple[tuple[int, int], ...]:
        """Annealed budgets below the whole one: (step at which the decay leaves the trunk, step at which it ends)."""
        return ()

    def branch_factor(self, step: int, start: int, end: int) -> float:
        """Factor on the peak learning rate for update number `step` of a branch from `start` to `end`."""
        raise AssertionError(f"{type(self).__name__} has no branches")

    @abstractmethod
    def after_warmup(self, progress: float, warmup: float) -> float:
        """The factor at `progress` from 0 to 1 through the steps behind the warm-up, which took a share of all."""


class Constant(Schedule):
    """Stays at the peak."""

    def after_warmup(self, progress: float, warmup: float) -> float:
        """Always 1."""
        return 1.0


class Cosine(Schedule):
    """Half a cosine down to `final_fraction` of the peak.

    Source: Loshchilov and Hutter 2016 (arXiv 1608.03983), equation 5, without restarts.
    """

    def __init__(self, *, warmup_steps: int | None, warmup_fraction: float | None, final_fraction: float) -> None:
        super().__init__(warmup_steps=warmup_steps, warmup_fraction=warmup_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)

    def after_warmup(self, progress: float, warmup: float) -> float:
        """From 1 to `final_fraction`."""
        return self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * progress)) / 2


class Linear(Schedule):
    """A straight line down to `final_fraction` of the peak."""

    def __init__(self, *, warmup_steps: int | None, warmup_fraction: float | None, final_fraction: float) -> None:
        super().__init__(warmup_steps=warmup_steps, warmup_fraction=warmup_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)

    def after_warmup(self, progress: float, warmup: float) -> float:
        """From 1 to `final_fraction`."""
        return 1 - (1 - self.final_fraction) * progress


class InverseSqrt(Schedule):
    """Falls as one over the root of the step from the end of the warm-up on, which it needs.

    Raises:
        ValueError: the warm-up is empty.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 3.
    """

    def __init__(self, *, warmup_steps: int | None, warmup_fraction: float | None) -> None:
        super().__init__(warmup_steps=warmup_steps, warmup_fraction=warmup_fraction)
        if not (self.warmup_steps or self.warmup_fraction):
            raise ValueError(
                "schedule=inverse_sqrt falls from the end of its warm-up: give schedule.warmup_steps above 0"
            )

    def after_warmup(self, progress: float, warmup: float) -> float:
        """sqrt(warm-up / steps so far), which is 1 at its end."""
        return math.sqrt(warmup / (warmup + progress * (1 - warmup))) if warmup else 1.0


class WarmupStableDecay(Schedule):
    """At the peak until the last `decay_fraction` of all steps, then a straight line down.

    With `branches` above 1, copies leave the constant stretch earlier and decay to the ends of smaller budgets, each a
    `branch_ratio` below the next: one run yields a whole curve of annealed end points. Where the warm-up is a length,
    each is that of a run which was given this budget.

    Args:
        warmup_steps: optimizer steps of the warm-up; None where the share is given.
        warmup_fraction: share of all steps spent on the warm-up; None where the length is given.
        decay_fraction: share of a budget's steps spent on the decay.
        final_fraction: last learning rate over the peak.
        branches: annealed end points of the run, its own end among them; `auto` for as many as have room, up to six.
        branch_ratio: a budget over the next smaller one.

    Raises:
        ValueError: the warm-up is not given once, a fraction lies outside 0 to 1, or there is no such branch.

    Source: Hu et al. 2024 (arXiv 2404.06395), section 4; Hägele et al. 2024 (arXiv 2405.18392).
    """

    def __init__(
        self,
        *,
        warmup_steps: int | None,
        warmup_fraction: float | None,
        decay_fraction: float,
        final_fraction: float,
        branches: int | Literal["auto"],
        branch_ratio: float,
    ) -> None:
        super().__init__(warmup_steps=warmup_steps, warmup_fraction=warmup_fraction)
        self.decay_fraction = _fraction("decay_fraction", decay_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)
        if (self.warmup_fraction or 0.0) + decay_fraction > 1:
            raise ValueError("schedule.warmup_fraction and schedule.decay_fraction together exceed 1: lower one")
        if (not isinstance(branches, str) and branches < 1) or branch_ratio <= 1:
            raise ValueError(
                f"schedule.branches={branches} must be auto or at least 1 and schedule.branch_ratio={branch_ratio}"
                " above 1"
            )
        self.n_branches, self.branch_ratio = branches, branch_ratio

    def decay_start(self, total_steps: int) -> int:
        """The last `decay_fraction` of all steps lies behind it."""
        return round(total_steps * (1 - self.decay_fraction))

    def settled(self, total_steps: int) -> dict[str, Any]:
        """The number of annealed ends."""
        return {"branches": self._count(total_steps)}

    def branches(self, total_steps: int) -> tuple[tuple[int, int], ...]:
        """The smaller budgets, smallest first.

        Raises:
            ValueError: the smallest would leave before the warm-up is over, or too shortly after.
        """
        ends = [self._end(total_steps, power) for power in range(self._count(total_steps) - 1, 0, -1)]
        found = tuple((self.decay_start(end), end) for end in ends)
        if found and not self._has_room(found[0][1], total_steps):
            raise ValueError(
                f"schedule.branches={self.n_branches}: the smallest budget, {found[0][1]} steps, would decay from step"
                f" {found[0][0]}, too near to the warm-up of {self.warmup(total_steps)} or with no step left: ask for"
                " fewer branches or more steps"
            )
        return found

    def branch_factor(self, step: int, start: int, end: int) -> float:
        """That of a run of this budget; under a warm-up by share a straight line down from 1, as at the run's end."""
        if self.warmup_fraction is None:
            return self.factor(step, end)
        return 1 - (1 - self.final_fraction) * (step - start) / (end - start)

    def after_warmup(self, progress: float, warmup: float) -> float:
        """1, then from 1 to `final_fraction`."""
        decay = self.decay_fraction / (1 - warmup) if warmup < 1 else 0.0
        into_decay = min(1.0, max(0.0, progress - (1 - decay)) / decay) if decay else 0.0
        return 1 - (1 - self.final_fraction) * into_decay

    def _count(self, total_steps: int) -> int:
        """Annealed ends of a run."""
        if not isinstance(self.n_branches, str):
            return self.n_branches
        room = (self._has_room(self._end(total_steps, power), total_steps) for power in range(1, MOST_ENDS))
        return 1 + next((power for power, fits in enumerate(room) if not fits), MOST_ENDS - 1)

    def _end(self, total_steps: int, power: int) -> int:
        return round(total_steps / self.branch_ratio**power)

    def _has_room(self, end: int, total_steps: int) -> bool:
        """Whether a branch leaves well behind the warm-up, or just behind one by share, and has steps to decay."""
        start, warmup = self.decay_start(end), self.warmup(total_steps)
        if self.n_branches != AUTO and self.warmup_fraction is not None:
            return warmup < start < end
        return max(1, ROOM * warmup) <= start <= end - (LEAST_DECAY if self.n_branches == AUTO else 1)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"schedule.{name}={value:g} must lie between 0 and 1")
    return value


def _word(value: float | None) -> str:
    return "null" if value is None else f"{value:g}"
