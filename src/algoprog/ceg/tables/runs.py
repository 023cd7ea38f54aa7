"""Which evaluations of a table are one run, and which of them are ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import END_SHARE, Array, Mask, ends_by_rate
from algoprog.ceg.tables.evaluations import Evaluation

Evaluations = Sequence[Evaluation]


@dataclass(frozen=True)
class RunLines:
    """The evaluations of one run by rising cost, with its peak rate and what else tells it from others of its seed."""

    lines: Evaluations
    rate: float | None
    ends: Mask | None
    batch: float | None = None  # where the table holds the same run with several


def split(lines: Evaluations, axis: str, budgets: Mapping[str, float]) -> list[RunLines]:
    """The runs of one variant, model and seed.

    One if its cost never goes back. Else one for every budget that is named, or wherever the cost goes back while the
    rate changes along the way, or one for every rate and batch.

    Args:
        lines: in the order of the file.
        axis: the cost axis that tells the order of training.
        budgets: cost on that axis by the name of a budget, where that is known.
    """
    named = dict.fromkeys(line.budget for line in lines)
    if len(named) > 1 or any(named):
        parts = [[line for line in lines if line.budget == name] for name in named]
        return [run for part in parts for run in _of_one_budget(part, axis, budgets.get(part[0].budget, math.nan))]
    return _of_one_budget(lines, axis, None)


def rising(lines: Evaluations, axis: str) -> bool:
    """Whether every evaluation cost more than the one before."""
    return bool((np.diff(_cost(lines, axis)) > 0).all())


def budgets_on(axes: Sequence[str], groups: Sequence[Evaluations]) -> dict[str, dict[str, float]]:
    """For each cost axis, the cost that a budget's name says, where that is a number that a run spent on this axis.

    A budget of 3000 is one of steps where a run of it ended at about 3000 steps.
    """
    ends: dict[str, dict[str, float]] = {}
    for line in (line for lines in groups for line in lines if line.budget):
        for axis in axes:
            known = ends.setdefault(line.budget, {})
            known[axis] = max(known.get(axis, 0.0), np.nan_to_num(line.costs[axis]))
    found: dict[str, dict[str, float]] = {}
    for axis in axes:
        said = {name: value for name in ends if (value := _number(name)) > 0}
        if any(END_SHARE * value <= ends[name][axis] <= value / END_SHARE for name, value in said.items()):
            found[axis] = said
    return found


def _of_one_budget(lines: Evaluations, axis: str, budget: float | None) -> list[RunLines]:
    """The runs of one budget: None where none is named, NaN where its name tells no cost."""
    whole = _compared(lines, axis)
    if rising(whole, axis):
        return [_run(whole, axis, budget)]
    parts = cut(lines, axis)
    if all(len(run) > 1 for run in parts) and any(_rates(run) > 1 for run in parts):
        return [_run(run, axis, budget) for run in parts]
    settings = dict.fromkeys((line.rate, line.batch) for line in lines)
    batches = len({batch for _, batch in settings}) > 1
    parts = [[line for line in lines if (line.rate, line.batch) == setting] for setting in settings]
    return [_run(_compared(part, axis), axis, budget, part[0].batch if batches else None) for part in parts]


def _run(lines: Evaluations, axis: str, budget: float | None, batch: float | None = None) -> RunLines:
    rate = max((line.rate for line in lines if line.rate), default=None)
    return RunLines(lines, rate, _ends(lines, axis, budget), batch)


def _compared(lines: Evaluations, axis: str) -> Evaluations:
    """The lines that may be compared: all, or the annealed ones by cost where there are several, as of branches."""
    annealed = [line for line in lines if line.annealed]
    return sorted(annealed, key=lambda line: line.costs[axis]) if len(annealed) > 1 else lines


def cut(lines: Evaluations, axis: str) -> list[list[Evaluation]]:
    """The lines cut wherever the cost goes back, as where one run's lines follow another's."""
    runs: list[list[Evaluation]] = []
    for line in lines:
        if not runs or line.costs[axis] <= runs[-1][-1].costs[axis]:
            runs.append([])
        runs[-1].append(line)
    return runs


def _ends(lines: Evaluations, axis: str, budget: float | None) -> Mask | None:
    """Which lines are ends: by the column `annealed`, a rate that changes, or a budget; None where none tells.

    A rate that never changes is no schedule: the column may hold every run's peak. Of a budget whose cost is not known
    the last lines are its end.
    """
    if any(line.annealed is not None for line in lines):
        return np.array([bool(line.annealed) for line in lines])
    cost = _cost(lines, axis)
    if _rates(lines) > 1:
        return ends_by_rate(cost, np.array([math.nan if line.rate is None else line.rate for line in lines]))
    if budget is not None:
        return np.asarray(cost >= END_SHARE * (budget if math.isfinite(budget) else cost[-1]))
    return None


def _cost(lines: Evaluations, axis: str) -> Array:
    return np.array([line.costs[axis] for line in lines])


def _rates(lines: Evaluations) -> int:
    return len({line.rate for line in lines if line.rate is not None})


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def progress_axis(axes: Sequence[str], groups: Sequence[Evaluations]) -> str:
    """The cost axis that tells the order of training: the one that fails to rise least often, steps before others."""
    order = [axis for axis in ("steps", *COSTS) if axis in axes]
    return min(dict.fromkeys(order), key=lambda axis: sum(_faults(lines, axis) for lines in groups))


def _faults(lines: Evaluations, axis: str) -> int:
    return int((~(np.diff(_cost(lines, axis)) > 0)).sum()) + sum(math.isnan(line.costs[axis]) for line in lines)
