"""Tidy tables: one line an evaluation, with its variant and model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.ceg.tables.columns import SEED, find_columns, require
from algoprog.ceg.tables.curve import curve_of
from algoprog.ceg.tables.evaluations import Evaluation, Key, evaluations
from algoprog.ceg.tables.runs import budgets_on, cut, progress_axis, split
from algoprog.ceg.tables.sheet import Sheet

Groups = Mapping[Key, Sequence[Evaluation]]


def read_tidy(sheet: Sheet, rename: Mapping[str, str]) -> list[Curve]:
    """The curves of a tidy table.

    Raises:
        ValueError: a column is missing, a cell that is needed is no number, or no cost rises along a run.
    """
    found = find_columns(sheet.path, sheet.header, rename)
    require(sheet.path, sheet.header, found)
    groups: dict[Key, list[Evaluation]] = {}
    for key, line in evaluations(sheet, found):
        groups.setdefault(key, []).append(line)
    axes = [axis for axis, cost in COSTS.items() if cost.column in found]
    known = _with_losses(groups, progress_axis(axes, list(groups.values())))
    progress = progress_axis(axes, list(known.values()))
    if SEED not in found:
        known = dict(_numbered(known, progress))
    if not any(line.loss is not None and math.isfinite(line.loss) for lines in known.values() for line in lines):
        raise ValueError(f"{sheet.path} has no finite {found['val_loss']} in any line: export the losses again")
    budgets = budgets_on(axes, list(known.values())).get(progress, {})
    columns = {axis: found[COSTS[axis].column] for axis in axes}
    runs = [(key, run) for key, lines in known.items() for run in split(lines, progress, budgets)]
    single = all(len(run.lines) < 2 for _, run in runs)  # a table of end points
    return [curve_of(sheet.path, key, run, columns, progress, single=single) for key, run in runs]


def _numbered(groups: Groups, progress: str) -> Iterator[tuple[Key, list[Evaluation]]]:
    """The groups with a seed for every run, where runs of one setting follow each other and none is numbered."""
    for key, lines in groups.items():
        told = {(line.rate, line.batch, line.budget, line.annealed) for line in lines}
        runs = cut(lines, progress) if len(told) == 1 else []
        if runs and all(len(run) > 1 for run in runs):
            yield from ((replace(key, seed=seed), run) for seed, run in enumerate(runs))
        else:
            yield key, list(lines)


def _with_losses(groups: Groups, axis: str) -> dict[Key, list[Evaluation]]:
    """The lines that are evaluations: training is logged oftener, with empty cells for the loss.

    A run without any loss was lost, and so was one whose losses end before its lines do, if no other run of the table
    has gaps: that is how a table writes NaN. Some tables write NaN into the cells of training instead.
    """
    groups = {key: [line for run in cut(lines, axis) for line in _unlogged(run)] for key, lines in groups.items()}
    gaps = any(line.loss is None for lines in groups.values() for line in _until_last_loss(lines))
    ended = all(lines[-1].loss is None for lines in groups.values())
    return {key: _evaluated(lines, lost=not gaps and not ended) for key, lines in groups.items()}


def _evaluated(lines: Sequence[Evaluation], *, lost: bool) -> list[Evaluation]:
    if lost or all(line.loss is None for line in lines):
        return [replace(line, loss=math.nan) if line.loss is None else line for line in lines]
    return [line for line in lines if line.loss is not None]


def _unlogged(lines: Sequence[Evaluation]) -> list[Evaluation]:
    """The lines with NaN as an empty cell where finite losses follow it: no run comes back from a NaN.

    So are those behind the last loss, where there are no more of them than between two losses.
    """
    finite = [index for index, line in enumerate(lines) if line.loss is not None and math.isfinite(line.loss)]
    nan = [line.loss is not None and math.isnan(line.loss) for line in lines]
    widest = max((sum(nan[one:other]) for one, other in pairwise(finite)), default=0)
    end = finite[-1] if finite else 0
    end = len(lines) if sum(nan[end:]) <= widest else end
    return [replace(line, loss=None) if nan[index] and index < end else line for index, line in enumerate(lines)]


def _until_last_loss(lines: Sequence[Evaluation]) -> Iterable[Evaluation]:
    known = [index for index, line in enumerate(lines) if line.loss is not None]
    return lines[: known[-1]] if known else ()
