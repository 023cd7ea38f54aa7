"""The choice of a learning rate from trials: which rates to try next, and which one is the best.

A trial that failed or diverged has no loss and no vote, but it bounds the search: nothing is tried beyond it.
Where several settings are searched, each is chosen along the line of trials through the best cell of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import TypeAlias

import numpy as np

DIGITS = 4
"""Significant digits of a chosen rate: more than its loss can tell apart, few enough to type."""

NEAR = 1.001 * log(2)
"""Trials whose ln rate is nearer to the best than this count; a little more than a factor of 2, for rounded rates."""

CLIFF = 0.5
"""Nats above the best from which a trial so near to it lies beyond a cliff: no parabola goes through both sides."""

FLAT = 1e-9
"""Nats per squared e-fold of rate below which a parabola has no minimum but for rounding."""

Point: TypeAlias = tuple[float, ...]
"""One value of each setting that is searched."""


@dataclass(frozen=True)
class Trial:
    """One run of a search."""

    rate: float
    loss: float | None  # final validation loss in nats; None: it diverged or failed

    @property
    def votes(self) -> bool:
        """Whether it has a loss to be chosen by."""
        return self.loss is not None and isfinite(self.loss)


def best_rate(trials: Sequence[Trial]) -> float | None:
    """The minimum of the quadratic in ln rate fitted to the trials around the best one, within their range.

    It is the best trial's own rate where fewer than three have a vote or no parabola opens upwards, and None where none
    has a vote. A trial beyond a cliff, next to the best, moves the choice away from it, by half a step of the grid at
    most, and so away from rates at which other seeds fall.
    """
    near = around_best(trials)
    if len(near) < 3:
        return _best(near).rate if near else None
    return rounded(_vertex(near))


def around_best(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that the quadratic is fitted to, by rate; all that have a vote where they are fewer than three.

    Those within a factor of 2 of the best and its neighbours, three at least: a denser grid fits the same stretch of
    rates with more trials, so that it narrows the choice and does not move it. Where one of them lies beyond a cliff,
    the three that are next to each other: there a denser grid comes nearer to the cliff.
    """
    votes = _votes(trials)
    if len(votes) < 3:
        return votes
    best = _best(votes)
    at = votes.index(best)
    by_distance = sorted(votes, key=lambda trial: (abs(log(trial.rate / best.rate)), trial.rate))
    chosen = {*votes[max(0, at - 1) : at + 2], *by_distance[:3]}
    near = [trial for trial in votes if trial in chosen or abs(log(trial.rate / best.rate)) < NEAR]
    if max(_loss(trial) for trial in near) - _loss(best) < CLIFF:
        return near
    first = min(max(0, at - 1), len(votes) - 3)
    return votes[first : first + 3]


def next_rates(trials: Sequence[Trial], factor: float, max_trials: int) -> tuple[float, ...]:
    """The rates to try next: one beyond each edge of the grid at which the best trial lies.

    Empty when the search is done: the best has a trial on both sides (a failed one counts), none has a vote, or
    `max_trials` are spent.

    Raises:
        ValueError: the factor is not above 1.
    """
    if not factor > 1:
        raise ValueError(f"the factor between rates is {factor}: set tune.factor above 1")
    votes = _votes(trials)
    if not votes:
        return ()
    best, rates = _best(votes).rate, [trial.rate for trial in trials]
    beyond = [rounded(best / factor)] * (best <= min(rates)) + [rounded(best * factor)] * (best >= max(rates))
    return tuple(beyond[: max(0, max_trials - len(trials))])


def at_edge(trials: Sequence[Trial]) -> bool:
    """Whether the best trial lies at an edge of those that were tried, so that a better rate may lie beyond."""
    votes = _votes(trials)
    rates = [trial.rate for trial in trials]
    return bool(votes) and _best(votes).rate in (min(rates), max(rates))


def best_point(cells: Mapping[Point, float | None]) -> Point | None:
    """The best value of each setting, along the line of trials through the best cell; None where no cell has a vote."""
    best = _best_cell(cells)
    if best is None:
        return None
    return tuple(best_rate(line(cells, best, axis)) or value for axis, value in enumerate(best))


def next_points(cells: Mapping[Point, float | None], factors: Sequence[float], max_trials: int) -> tuple[Point, ...]:
    """The cells to try next: beyond each edge at which the best cell lies, with its other settings; empty when done.

    Args:
        cells: final losses by cell, None where the trial failed.
        factors: between two values of each setting.
        max_trials: of all settings together.
    """
    best = _best_cell(cells)
    room = max(0, max_trials - len(cells))
    if best is None or not room:
        return ()
    found: list[Point] = []
    for axis, factor in enumerate(factors):
        along = line(cells, best, axis)
        found += [(*best[:axis], rate, *best[axis + 1 :]) for rate in next_rates(along, factor, len(along) + room)]
    return tuple(found[:room])


def edge_point(cells: Mapping[Point, float | None]) -> bool:
    """Whether the best cell lies at an edge in any setting."""
    best = _best_cell(cells)
    return best is not None and any(at_edge(line(cells, best, axis)) for axis in range(len(best)))


def line(cells: Mapping[Point, float | None], through: Point, axis: int) -> list[Trial]:
    """The trials that differ from a cell in one setting at most, by its values."""
    others = (*through[:axis], *through[axis + 1 :])
    found = {cell[axis]: loss for cell, loss in cells.items() if (*cell[:axis], *cell[axis + 1 :]) == others}
    return [Trial(rate, found[rate]) for rate in sorted(found)]


def rounded(rate: float) -> float:
    """The rate to four significant digits."""
    return float(f"{rate:.{DIGITS}g}")


def _votes(trials: Sequence[Trial]) -> list[Trial]:
    """The trials with a vote, by rate."""
    return sorted((trial for trial in trials if trial.votes), key=lambda trial: trial.rate)


def _best(votes: Sequence[Trial]) -> Trial:
    """The one with the lowest loss; of equals the one with the lowest rate."""
    return min(votes, key=lambda trial: (_loss(trial), trial.rate))


def _loss(trial: Trial) -> float:
    return trial.loss if trial.loss is not None else inf


def _best_cell(cells: Mapping[Point, float | None]) -> Point | None:
    votes = {cell: loss for cell, loss in cells.items() if loss is not None and isfinite(loss)}
    return min(votes, key=lambda cell: (votes[cell], cell)) if votes else None


def _vertex(near: Sequence[Trial]) -> float:
    """Where the fitted parabola is lowest within the range of the trials; the best trial where it has no minimum."""
    best = _best(near).rate
    x = [log(trial.rate / best) for trial in near]
    _, slope, square = np.polynomial.polynomial.polyfit(x, [_loss(trial) for trial in near], 2)
    if not square > FLAT:
        return best
    return best * exp(min(max(-float(slope) / (2 * float(square)), x[0]), x[-1]))
