"""The lines of a tidy table as evaluations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from algoprog.ceg.cost import COSTS
from algoprog.ceg.tables import columns as names
from algoprog.ceg.tables.sheet import Line, Sheet
from algoprog.runs.record import COMPARE, SEARCH

_MISSING = frozenset(("na", "n/a", "#n/a", "null", "none", "-"))
"""What programs write into a cell of numbers that holds none; NaN is a number, and a loss of its own kind."""

_NUMBERS = (names.LOSS, names.RATE, names.BATCH, names.LENGTH, names.BITS, *(cost.column for cost in COSTS.values()))
"""Columns whose cells are numbers."""

_WORDS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}


@dataclass(frozen=True)
class Key:
    """What the lines of one variant, model and seed share."""

    variant: str
    model: str
    seed: int
    role: str = COMPARE
    kernel: str = ""


@dataclass(frozen=True)
class Evaluation:
    """The cells of one line.

    A cost that is no number is NaN, with what is wrong in `faults`: it matters only if that cost is asked for.
    """

    where: str
    loss: float | None  # None where the cell is empty; NaN and infinity mean divergence
    costs: Mapping[str, float]  # by cost axis, NaN where empty
    faults: Mapping[str, str]
    rate: float | None = None
    annealed: bool | None = None
    budget: str = ""
    batch: float | None = None  # tokens a step
    device: str = ""
    n_devices: int | None = None
    bits: float = math.nan  # per byte
    tokenizer: str = ""
    text: str = ""


def evaluations(sheet: Sheet, found: Mapping[str, str]) -> Iterator[tuple[Key, Evaluation]]:
    """Every line with what it belongs to.

    Args:
        sheet: the table.
        found: its column for each of ours.

    Raises:
        ValueError: a cell that is needed is no number, or none of the words that it may be.
    """
    axes = {axis: found[cost.column] for axis, cost in COSTS.items() if cost.column in found}
    for line in sheet.lines:
        cells = {ours: _cell(ours, line.cells.get(theirs, "").strip()) for ours, theirs in found.items()}
        yield _key(sheet, line, cells, found), _evaluation(sheet, line, cells, found, axes)


def _cell(ours: str, text: str) -> str:
    return "" if ours in _NUMBERS and text.casefold() in _MISSING else text


def number(where: str, column: str, text: str) -> float:
    """A cell as a float; the words for NaN and infinity are allowed.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{where}: {column} is {text!r}, which is no number: correct that cell") from error


def _key(sheet: Sheet, line: Line, cells: Mapping[str, str], found: Mapping[str, str]) -> Key:
    where = sheet.at(line)
    for ours in (names.VARIANT, names.MODEL):
        if not cells[ours]:
            raise ValueError(f"{where}: {found[ours]} is empty: fill that cell in or delete the line")
    role = cells.get(names.ROLE, "") or COMPARE
    if role not in (SEARCH, COMPARE):
        raise ValueError(f"{where}: {found[names.ROLE]} is {role!r}: write {SEARCH} for a trial, else {COMPARE}")
    seed = _seed(where, found.get(names.SEED, names.SEED), cells.get(names.SEED, "0"))
    return Key(cells[names.VARIANT], cells[names.MODEL], seed, role, cells.get(names.KERNEL, ""))


def _evaluation(
    sheet: Sheet, line: Line, cells: Mapping[str, str], found: Mapping[str, str], axes: Mapping[str, str]
) -> Evaluation:
    where, costs, faults = sheet.at(line), {}, {}
    for axis, column in axes.items():
        try:
            text = cells[COSTS[axis].column]
            costs[axis] = number(where, column, text) if text else math.nan
        except ValueError as error:
            costs[axis], faults[axis] = math.nan, str(error)
    loss = cells[names.LOSS]
    return Evaluation(
        where=where,
        loss=number(where, found[names.LOSS], loss) if loss else None,
        costs=costs,
        faults=faults,
        rate=_rate(where, found.get(names.RATE, ""), cells.get(names.RATE, "")),
        annealed=_annealed(where, found[names.ANNEALED], cells[names.ANNEALED]) if names.ANNEALED in cells else None,
        budget=cells.get(names.BUDGET, ""),
        batch=_batch(cells),
        device=cells.get(names.DEVICE, ""),
        bits=_bits(cells.get(names.BITS, "")),
        tokenizer=cells.get(names.TOKENIZER, ""),
        text=cells.get(names.TEXT, ""),
        n_devices=_n_devices(where, found.get(names.N_DEVICES, ""), cells.get(names.N_DEVICES, "")),
    )


def _bits(text: str) -> float:
    """Bits per byte; NaN where there are none, which matters only to whom compares in them."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _rate(where: str, column: str, text: str) -> float | None:
    """The learning rate of a line; None without the column or with an empty cell."""
    rate = number(where, column, text) if text else math.nan
    if math.isinf(rate) or rate < 0:
        raise ValueError(f"{where}: {column} is {text!r}, not a rate above zero: correct that cell")
    return None if math.isnan(rate) else rate


def _annealed(where: str, column: str, text: str) -> bool:
    """Whether a line is an annealed end."""
    word = text.lower()
    if word not in _WORDS:
        raise ValueError(f"{where}: {column} is {text!r}, not 1 for an end or 0: correct that cell")
    return _WORDS[word]


def _batch(cells: Mapping[str, str]) -> float | None:
    """Tokens a step, by a batch in sequences if their length stands beside it; None where no number tells."""
    try:
        batch = float(cells.get(names.BATCH, ""))
        length = float(cells.get(names.LENGTH) or 1.0)
    except ValueError:
        return None
    return batch * length if math.isfinite(batch * length) and batch * length > 0 else None


def _n_devices(where: str, column: str, text: str) -> int | None:
    """The number of devices of a line; None without the column or with an empty cell."""
    value = number(where, column, text) if text else 1.0
    if not (value.is_integer() and value > 0):
        raise ValueError(f"{where}: {column} is {text!r}, not a number of devices: correct that cell")
    return int(value) if text else None


def _seed(where: str, column: str, text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value.is_integer():
        raise ValueError(f"{where}: {column} is {text!r}, not a whole number: number the seeds 0, 1, 2")
    return int(text) if text.lstrip("+-").isdigit() else int(value)
