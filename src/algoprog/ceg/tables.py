"""CSV files of curves: algoprog's tidy columns or a W&B export."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algoprog.ceg.curves import LEARNING_RATE, Curve, Mask, cost_fault, ends_by_rate
from algoprog.runs.record import COSTS

KEYS = ("variant", "model", "seed", "val_loss")
RATE = "lr"
"""Optional column: the learning rate; of a run in which it changes the largest is the run's."""

ANNEALED = "annealed"
"""Optional column: 1 where the evaluation ends a budget of its own, at an annealed learning rate, else 0."""

DEVICE = "device"
"""Optional column: what the seconds were taken on."""

WANDB_COLUMN = re.compile(r"^(?P<model>.+?) - (?P<variant>.+?)(?: - seed ?(?P<seed>\d+))? - (?P<metric>val[/_ ]loss)$")
Row = Mapping[str | None, str | list[str] | None]
_Key = tuple[str, str, int]  # variant, model, seed


def read_table(path: Path) -> list[Curve]:
    """The curves of a CSV file.

    Raises:
        ValueError: a column is missing, a line is cut short, a cell is no number, or steps repeat or go back; one
            sentence that names file, line and remedy.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey=None)
            rows, header = list(reader), list(reader.fieldnames or [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV text ({error}): export it again as UTF-8 CSV") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error
    if len(header) == 1 and ";" in header[0]:
        raise ValueError(f"{path} separates its columns by semicolons: save it with commas and decimal points")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ValueError(f"{path} has two columns named {twice[0]!r}: rename or delete one of them")
    if not rows:
        raise ValueError(f"{path} is empty: it needs a header and one line an evaluation")
    for number, row in enumerate(rows, start=2):
        if None in row or any(value is None for value in row.values()):
            raise ValueError(f"{path} line {number} has not {len(header)} cells like its header: export the file again")
    return _read_wandb(path, header, rows) if _is_wandb(header) else _read_tidy(path, header, rows)


def _is_wandb(header: Sequence[str]) -> bool:
    return "Step" in header and "val_loss" not in header


def _read_tidy(path: Path, header: Sequence[str], rows: Sequence[Row]) -> list[Curve]:
    missing = [key for key in KEYS if key not in header]
    axes = {axis: column for axis, column in COSTS.items() if column in header}
    if missing or not axes:
        wanted = ", ".join(missing) or "one of " + ", ".join(COSTS.values())
        raise ValueError(f"{path} lacks the column {wanted}: add it, or rename yours in the header")
    groups: dict[_Key, list[_Line]] = {}
    for number, row in enumerate(rows, start=2):
        key = (str(row["variant"]), str(row["model"]), _seed(path, number, str(row["seed"])))
        costs = {axis: _number(path, number, column, str(row[column])) for axis, column in axes.items()}
        loss = _number(path, number, "val_loss", str(row["val_loss"]))
        device = str(row.get(DEVICE) or "").strip()
        line = _Line(_rate(path, number, row), _annealed(path, number, row), costs, loss, device)
        groups.setdefault(key, []).append(line)
    return [_curve(path, *key, *run) for key, lines in groups.items() for run in _runs(lines, tuple(axes))]


def _runs(lines: Sequence[_Line], axes: Sequence[str]) -> list[tuple[float | None, _Columns]]:
    """The runs of one variant, model and seed, each with its peak rate.

    One if no cost goes back; else one a budget where the rate changes along the way, or one a rate.
    """
    compared = _compared(lines, axes)
    whole = _columns(compared, axes)
    if not any((np.diff(cost) <= 0).any() for cost in whole.costs.values()):
        return [(max((line.rate for line in lines if line.rate is not None), default=None), whole)]
    budgets = _budgets(lines, axes)
    if all(len(run) > 1 for run in budgets) and any(len({line.rate for line in run}) > 1 for run in budgets):
        return [(max(line.rate for line in run if line.rate is not None), _columns(run, axes)) for run in budgets]
    rates = dict.fromkeys(line.rate for line in lines)
    return [(rate, _columns(_compared([line for line in lines if line.rate == rate], axes), axes)) for rate in rates]


def _compared(lines: Sequence[_Line], axes: Sequence[str]) -> Sequence[_Line]:
    """The lines that may be compared: all, or the annealed ones by cost where there are several, as of branches."""
    annealed = [line for line in lines if line.annealed]
    return sorted(annealed, key=lambda line: line.costs[axes[0]]) if len(annealed) > 1 else lines


def _budgets(lines: Sequence[_Line], axes: Sequence[str]) -> list[list[_Line]]:
    """The lines cut wherever a cost goes back, as where one run's lines follow another's."""
    runs: list[list[_Line]] = []
    for line in lines:
        if not runs or any(line.costs[axis] <= runs[-1][-1].costs[axis] for axis in axes):
            runs.append([])
        runs[-1].append(line)
    return runs


def _columns(lines: Sequence[_Line], axes: Sequence[str]) -> _Columns:
    costs = {axis: [line.costs[axis] for line in lines] for axis in axes}
    devices = "+".join(dict.fromkeys(line.device for line in lines if line.device))
    return _Columns(costs, [line.loss for line in lines], _ends(lines, axes), devices)


def _ends(lines: Sequence[_Line], axes: Sequence[str]) -> Mask | None:
    """Which lines are ends, by the column `annealed` or a learning rate that changes; None where neither tells.

    A rate that never changes is no schedule: the column may hold every run's peak.
    """
    if any(line.annealed is not None for line in lines):
        return np.array([bool(line.annealed) for line in lines])
    rates = np.array([math.nan if line.rate is None else line.rate for line in lines])
    if len(set(rates[np.isfinite(rates)])) < 2:
        return None
    return ends_by_rate(np.array([line.costs[axes[0]] for line in lines]), rates)


def _read_wandb(path: Path, header: Sequence[str], rows: Sequence[Row]) -> list[Curve]:
    matches = {column: match for column in header if (match := WANDB_COLUMN.match(column))}
    if not matches:
        raise ValueError(
            f"{path} has no column like 'compact - rope - val/loss': name the runs 'MODEL - VARIANT' in W&B"
        )
    curves = []
    for column, match in matches.items():
        columns = _Columns({"steps": []}, [], None)
        for number, row in enumerate(rows, start=2):
            if row[column] != "":  # runs that evaluate at other steps leave the cell empty
                columns.costs["steps"].append(_number(path, number, "Step", str(row["Step"])))
                columns.loss.append(_number(path, number, column, str(row[column])))
        if not columns.loss:
            raise ValueError(f"{path} has no value in its column {column!r}: export it again or delete that column")
        curves.append(_curve(path, match["variant"], match["model"], int(match["seed"] or 0), None, columns))
    return curves


@dataclass(frozen=True)
class _Line:
    """The cells of one evaluation of a tidy file."""

    rate: float | None
    annealed: bool | None
    costs: dict[str, float]
    loss: float
    device: str = ""


@dataclass(frozen=True)
class _Columns:
    """The cells of one run while a file is read."""

    costs: dict[str, list[float]]
    loss: list[float]
    ends: Mask | None
    device: str = ""


def _curve(path: Path, variant: str, model: str, seed: int, rate: float | None, columns: _Columns) -> Curve:
    curve = Curve(
        variant=variant,
        model=model,
        seed=seed,
        val_loss=np.array(columns.loss),
        costs={axis: np.array(cost) for axis, cost in columns.costs.items() if not np.isnan(cost).all()},
        source=str(path),
        cohort="" if rate is None else f"{rate:g}",
        protocol={} if rate is None else {LEARNING_RATE: rate},
        ends=columns.ends,
        device=columns.device,
    )
    for axis, cost in curve.costs.items():
        if (fault := cost_fault(COSTS[axis], cost)) is not None:
            raise ValueError(f"{curve} has {fault[0]}: {fault[1]}")
    if (curve.val_loss <= 0).any():
        raise ValueError(f"{curve} has a val_loss that is not above zero: export the loss in nats per token")
    if not np.isfinite(curve.val_loss).any():
        raise ValueError(f"{curve} has no finite val_loss: leave the run out or export its losses again")
    if len(curve.val_loss) < 2:
        raise ValueError(f"{curve} has one evaluation only: a gain needs a curve, export every evaluation")
    return curve


def _number(path: Path, line: int, column: str, text: str) -> float:
    """A cell as a float; an empty one and the words for NaN and infinity are allowed, they mean divergence."""
    try:
        return float(text) if text.strip() else math.nan
    except ValueError as error:
        raise ValueError(f"{path} line {line}: {column} is {text!r}, which is no number: correct that cell") from error


def _rate(path: Path, line: int, row: Row) -> float | None:
    """The learning rate of a line; None without the column or with an empty cell."""
    text = str(row.get(RATE, ""))
    rate = _number(path, line, RATE, text)
    if text.strip() and not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"{path} line {line}: {RATE} is {text!r}, not a rate above zero: correct that cell")
    return rate if text.strip() else None


def _annealed(path: Path, line: int, row: Row) -> bool | None:
    """Whether a line is an annealed end; None without the column."""
    text = row.get(ANNEALED)
    if text is None:
        return None
    words = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}
    word = str(text).strip().lower()
    if word not in words:
        raise ValueError(f"{path} line {line}: {ANNEALED} is {text!r}, not 1 for an end or 0: correct that cell")
    return words[word]


def _seed(path: Path, line: int, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(
            f"{path} line {line}: seed is {text!r}, not a whole number: number the seeds 0, 1, 2"
        ) from error
