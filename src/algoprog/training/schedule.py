"""Learning-rate schedules: the factor on the peak learning rate at every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod


class Schedule(ABC):
    """A linear warm-up, then a shape of its own.

    Args:
        warmup_fraction: share of all steps spent on the warm-up.

    Raises:
        ValueError: a fraction lies outside 0 to 1.
    """

    def __init__(self, *, warmup_fraction: float) -> None:
        self.warmup_fraction = _fraction("warmup_fraction", warmup_fraction)

    def factor(self, step: int, total_steps: int) -> float:
        """Factor on the peak learning rate for the update number `step`, counted from 0."""
        warmup = round(self.warmup_fraction * total_steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return self.after_warmup((step - warmup) / max(1, total_steps - warmup))

    def branches(self, total_steps: int) -> tuple[tuple[int, int], ...]:
        """Annealed budgets below the whole one: (step at which the decay leaves the trunk, step at which it ends)."""
        return ()

    def branch_factor(self, step: int, start: int, end: int) -> float:
        """Factor on the peak learning rate for update number `step` of a branch from `start` to `end`."""
        raise AssertionError(f"{type(self).__name__} has no branches")

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """The factor at `progress` from 0 to 1 through the steps behind the warm-up."""


class Constant(Schedule):
    """Stays at the peak."""

    def after_warmup(self, progress: float) -> float:
        """Always 1."""
        return 1.0


class Cosine(Schedule):
    """Half a cosine down to `final_fraction` of the peak.

    Source: Loshchilov and Hutter 2016 (arXiv 1608.03983), equation 5, without restarts.
    """

    def __init__(self, *, warmup_fraction: float, final_fraction: float) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)

    def after_warmup(self, progress: float) -> float:
        """From 1 to `final_fraction`."""
        return self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * progress)) / 2


class Linear(Schedule):
    """A straight line down to `final_fraction` of the peak."""

    def __init__(self, *, warmup_fraction: float, final_fraction: float) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)

    def after_warmup(self, progress: float) -> float:
        """From 1 to `final_fraction`."""
        return 1 - (1 - self.final_fraction) * progress


class WarmupStableDecay(Schedule):
    """At the peak until the last `decay_fraction` of all steps, then a straight line down.

    With `branches` above 1, copies leave the constant stretch earlier and decay to the ends of smaller budgets, each a
    `branch_ratio` below the next: one run yields a whole curve of annealed end points.

    Args:
        warmup_fraction: share of all steps spent on the warm-up.
        decay_fraction: share of a budget's steps spent on the decay.
        final_fraction: last learning rate over the peak.
        branches: annealed end points of the run, its own end among them.
        branch_ratio: a budget over the next smaller one.

    Raises:
        ValueError: a fraction lies outside 0 to 1, or there is no such branch.

    Source: Hu et al. 2024 (arXiv 2404.06395), section 4; Hägele et al. 2024 (arXiv 2405.18392).
    """

    def __init__(
        self,
        *,
        warmup_fraction: float,
        decay_fraction: float,
        final_fraction: float,
        branches: int,
        branch_ratio: float,
    ) -> None:
        super().__init__(warmup_fraction=warmup_fraction)
        self.decay_fraction = _fraction("decay_fraction", decay_fraction)
        self.final_fraction = _fraction("final_fraction", final_fraction)
        if warmup_fraction + decay_fraction > 1:
            raise ValueError("schedule.warmup_fraction and schedule.decay_fraction together exceed 1: lower one")
        if branches < 1 or branch_ratio <= 1:
            raise ValueError(
                f"schedule.branches={branches} must be at least 1 and schedule.branch_ratio={branch_ratio} above 1"
            )
        self.n_branches, self.branch_ratio = branches, branch_ratio

    def branches(self, total_steps: int) -> tuple[tuple[int, int], ...]:
        """The smaller budgets, smallest first.

        Raises:
            ValueError: the smallest would leave before the warm-up is over.
        """
        ends = [round(total_steps / self.branch_ratio**power) for power in range(self.n_branches - 1, 0, -1)]
        found = tuple((round(end * (1 - self.decay_fraction)), end) for end in ends)
        if found and (found[0][0] <= round(self.warmup_fraction * total_steps) or found[0][0] >= found[0][1]):
            raise ValueError(
                f"schedule.branches={self.n_branches}: the smallest budget, {found[0][1]} steps, would decay from step"
                f" {found[0][0]}, within the warm-up or with no step left: ask for fewer branches or more steps"
            )
        return found

    def branch_factor(self, step: int, start: int, end: int) -> float:
        """A straight line from 1 down to `final_fraction`, as at the end of the run."""
        return 1 - (1 - self.final_fraction) * (step - start) / (end - start)

    def after_warmup(self, progress: float) -> float:
        """1, then from 1 to `final_fraction`."""
        decay = self.decay_fraction / (1 - self.warmup_fraction) if self.warmup_fraction < 1 else 0.0
        into_decay = max(0.0, progress - (1 - decay)) / decay if decay else 0.0
        return 1 - (1 - self.final_fraction) * into_decay


def _fraction(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"schedule.{name}={value:g} must lie between 0 and 1")
    return value
