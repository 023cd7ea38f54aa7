"""Charts of W&B as they are exported: one column a run, over any x axis."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.ceg.tables.columns import VARIANT, cost_of, find_columns, is_loss
from algoprog.ceg.tables.curve import curve_of
from algoprog.ceg.tables.evaluations import Evaluation, Key, number
from algoprog.ceg.tables.runs import progress_axis, split
from algoprog.ceg.tables.sheet import Line, Sheet

SEPARATOR = " - "
_SEED = re.compile(r"^(?P<name>.*?)[-_ (,]+seed[-_ =]?(?P<seed>\d+)\)?$", re.IGNORECASE)
_GROUPED = re.compile(r"^(?P<key>[\w./-]+): (?=\S)")
_EXAMPLE = "'compact - rope - val/loss'"


@dataclass(frozen=True)
class _Column:
    """The column of one run: `compact - rope - seed 1 - val/loss`, without the parts that a chart does not tell."""

    name: str
    run: str
    metric: str

    @classmethod
    def of(cls, name: str) -> _Column | None:
        run, separator, metric = name.rpartition(SEPARATOR)
        return cls(name, run, metric) if separator and run else None

    def key(self, path: Path) -> Key:
        """Model, variant and seed by the run's name; one part alone is the variant, and the file names the model."""
        name, seed = self.run, 0
        if found := _SEED.match(name):
            name, seed = found["name"] or name, int(found["seed"])
        model, separator, variant = name.strip(" -").partition(SEPARATOR)
        return Key(variant, model, seed) if separator else Key(model, path.stem, seed)


def is_chart(sheet: Sheet, rename: Mapping[str, str]) -> bool:
    """Whether a table has a column of losses for every run, or the x axis of a chart and no variants."""
    if _losses(sheet, rename):
        return True
    return "Step" in sheet.header and VARIANT not in find_columns(sheet.path, sheet.header, _there(sheet, rename))


def read_chart(sheet: Sheet, rename: Mapping[str, str]) -> list[Curve]:
    """The curves of a chart.

    Raises:
        ValueError: no column is a run's validation loss, none counts a cost, or a cell is no number.
    """
    losses = _losses(sheet, rename)
    if not losses:
        raise ValueError(
            f"{sheet.path} has no column like {_EXAMPLE}: name the runs 'MODEL - VARIANT' in W&B and export the chart"
            " of their validation loss, or name that metric by --rename METRIC=val_loss"
        )
    shared = {cost: name for name in reversed(sheet.header) if (cost := cost_of(name, rename)) is not None}
    curves = []
    for column in losses:
        own = {**shared, **_own_costs(sheet, column, rename)}
        axes = {axis: own[cost.column] for axis, cost in COSTS.items() if cost.column in own}
        if not axes:
            raise ValueError(
                f"{sheet.path} has no column that counts steps, tokens, FLOPs or seconds: name its x axis by --rename"
                f" {quote(sheet.header[0])}=step, or =tokens, =flops, =seconds"
            )
        lines = [_evaluation(sheet, line, column, axes) for line in sheet.lines if line.cells.get(column.name, "")]
        if not lines:
            raise ValueError(
                f"{sheet.path} has no value in its column {column.name!r}: export it again or delete that column"
            )
        progress = progress_axis(list(axes), [lines])
        curves += [
            curve_of(sheet.path, column.key(sheet.path), run, axes, progress) for run in split(lines, progress, {})
        ]
    return curves


def _losses(sheet: Sheet, rename: Mapping[str, str]) -> list[_Column]:
    return [column for column in _columns(sheet) if is_loss(column.metric, rename)]


def _columns(sheet: Sheet) -> list[_Column]:
    """The columns of runs; of a grouped chart, whose names all begin with `variant: `, by what stands behind it."""
    columns = [column for name in sheet.header if (column := _Column.of(name)) is not None]
    groups = {found["key"] if (found := _GROUPED.match(column.run)) else None for column in columns}
    if len(groups) != 1 or None in groups:
        return columns
    return [replace(column, run=_GROUPED.sub("", column.run)) for column in columns]


def _own_costs(sheet: Sheet, column: _Column, rename: Mapping[str, str]) -> dict[str, str]:
    """The columns of cost that a chart has for this run alone."""
    others = [other for other in _columns(sheet) if other.run == column.run]
    return {cost: other.name for other in others if (cost := cost_of(other.metric, rename)) is not None}


def _evaluation(sheet: Sheet, line: Line, column: _Column, axes: Mapping[str, str]) -> Evaluation:
    costs, faults = {}, {}
    for axis, name in axes.items():
        try:
            text = line.cells.get(name, "").strip()
            costs[axis] = number(sheet.at(line), name, text) if text else math.nan
        except ValueError as error:
            costs[axis], faults[axis] = math.nan, str(error)
    return Evaluation(sheet.at(line), number(sheet.at(line), column.name, line.cells[column.name]), costs, faults)


def _there(sheet: Sheet, rename: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for theirs, ours in rename.items() if theirs in sheet.header}
