"""The search phase: rounds of trials until every search is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from algoprog.ceg.tuning.search import Point, best_point, edge_point, next_points
from algoprog.sweep.design.compare import Words
from algoprog.sweep.search.choices import Choice, Choices, TrialRun
from algoprog.sweep.search.searches import Search
from algoprog.sweep.search.settings import Tune


@dataclass(frozen=True)
class Trained:
    """How a run of a trial ended."""

    run: str  # its folder
    loss: float | None  # None: it diverged or failed
    flops: float | None  # None: it failed, and left no record


Tried: TypeAlias = dict[Point, list[Trained]]
"""The runs of a search by what they tried, one a seed."""

Train = Callable[[Sequence[Words], str], list[Trained]]
"""Trains the runs of these words and says how each ended, in their order; takes a name for the round."""

Keep = Callable[[Choices], None]
"""Writes choices down."""


def choose(searches: Sequence[Search], tune: Tune, known: Choices, train: Train, keep: Keep) -> Choices:
    """The choice of every search: those that are known stay as they are, the others are made by trials.

    A round trains what all open searches ask for. What was chosen is kept after each round, so whoever is stopped goes
    on from there; trials that are finished are not trained again, so the same choices come out.
    """
    choices = {search.id: known[search.id] for search in searches if search.id in known}
    asked = {search: tuple(search.cells()) for search in searches if search.id not in choices}
    trials: dict[Search, Tried] = {search: {} for search in asked}
    number = 0
    while asked:
        number += 1
        new = [(search, cell) for search, cells in asked.items() for cell in cells]
        wanted = [(search, cell, seed) for search, cell in new for seed in tune.trial_seeds]
        ended = train([search.trial(cell, seed) for search, cell, seed in wanted], f"search, round {number}")
        for (search, cell, _), trained in zip(wanted, ended, strict=True):
            trials[search].setdefault(cell, []).append(trained)
        asked = {search: more for search in asked if (more := _next(search, trials[search], tune))}
        done = {s.id: _choice(s, found, tune) for s, found in trials.items() if s not in asked}
        choices = {**done, **choices}
        keep(choices)
    return choices


def _next(search: Search, trials: Tried, tune: Tune) -> tuple[Point, ...]:
    return next_points(_losses(trials), search.factors, tune.max_trials)


def _losses(trials: Tried) -> dict[Point, float | None]:
    """The loss of every cell, mean over its seeds; None where one of them has none."""
    found = {cell: [run.loss for run in runs if run.loss is not None] for cell, runs in trials.items()}
    return {cell: fmean(found[cell]) if len(found[cell]) == len(runs) else None for cell, runs in trials.items()}


def _choice(search: Search, trials: Tried, tune: Tune) -> Choice:
    cells = _losses(trials)
    best = best_point(cells)
    return Choice(
        search=search.id,
        model=search.model,
        variant=search.variant,
        values={} if best is None else _named(search, best),
        trials=tuple(TrialRun(_named(search, c), run.loss, run.run) for c in sorted(trials) for run in trials[c]),
        edge=edge_point(cells),
        seed=tune.seed,
        flops=sum(run.flops or 0.0 for runs in trials.values() for run in runs),
    )


def _named(search: Search, cell: Point) -> dict[str, float]:
    return dict(zip(search.settings, cell, strict=True))
