"""Write and find runs on disk; every write of a whole file is atomic."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algoprog.runs.record import (
    ANNEALED,
    CURVE_COLUMNS,
    CURVE_FILE,
    NEEDED_COLUMNS,
    RECORD_FILE,
    NewerSchemaError,
    Record,
    Run,
)
from algoprog.runs.secrets import redacted


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        _write_atomic(path, content)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name the file, which `write` itself does not know."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _write_atomic(path: Path, content: str | bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes files that only the owner can read
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_record(folder: Path, record: Record) -> None:
    """Rename `record.json` into place: from now on the run counts as done."""
    write_atomic(folder / RECORD_FILE, record_json(record, indent=2) + "\n")


def record_json(record: Record, indent: int | None = None) -> str:
    """The record as JSON; null for numbers that do not exist. It was made of nothing that may not be seen."""
    return json.dumps(_finite(asdict(record)), indent=indent, allow_nan=False)


def append_curve(folder: Path, row: Mapping[str, float | int]) -> None:
    """Append one evaluation to `curve.csv`; the header comes with the first row.

    A curve that an older program began is written anew where the row has columns that it lacks.
    """
    path = folder / CURVE_FILE
    header = _first_line(path)
    if header and not row.keys() <= {*header}:
        before = read_curve(path)
        rows = [dict(zip(before, values, strict=True)) for values in zip(*before.values(), strict=True)]
        return write_curve(folder, [*rows, row])
    with naming(path), path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header or _header([row]))
        if not header:
            writer.writeheader()
        writer.writerow(row)
    return None


def _first_line(path: Path) -> list[str]:
    """The columns that a curve was begun with; none where there is no curve."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])
    except FileNotFoundError:
        return []


def write_curve(folder: Path, rows: Sequence[Mapping[str, float | int]]) -> None:
    """Write `curve.csv` anew: the rows that a run which goes on from a checkpoint has behind it."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, _header(rows))
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / CURVE_FILE, table.getvalue())


def _header(rows: Sequence[Mapping[str, float | int]]) -> tuple[str, ...]:
    """The columns of every curve, then those that any row has more."""
    return tuple(dict.fromkeys([*CURVE_COLUMNS, *(name for row in rows for name in row)]))


def read_curve(path: Path) -> dict[str, NDArray[np.float64]]:
    """One float64 array a column of `curve.csv`: those of every curve, and those that a run has more.

    Columns that were not kept when the run was made are NaN, and no row is an annealed end; so are empty cells.

    Raises:
        ValueError: there are no steps or losses, or a cell is no number, naming file and remedy.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}): move its folder away and run it again") from error
    missing = [c for c in NEEDED_COLUMNS if not rows or c not in rows[0]]
    if missing:
        raise ValueError(f"{path} has no rows or lacks the columns {missing}: move its folder away and run it again")
    try:
        return whole_curve({c: np.array([_cell(row[c]) for row in rows]) for c in rows[0]})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): move its folder away and run it again") from error


def _cell(text: str | None) -> float:
    """The number in a cell; NaN where the cell is empty.

    Raises:
        ValueError: there is no number, or the row ends before the cell.
    """
    if text is None:
        raise ValueError("a row is cut off")
    return float(text or "nan")


def whole_curve(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """A curve with every column, those that were not kept when it was recorded as NaN and without annealed ends."""
    unknown = np.full(len(columns[NEEDED_COLUMNS[0]]), np.nan)
    kept = {name: columns.get(name, unknown) for name in CURVE_COLUMNS}
    return {**kept, **columns, ANNEALED: np.nan_to_num(kept[ANNEALED])}


def load_run(folder: Path) -> Run:
    """Read one finished run.

    Raises:
        ValueError: the record or the curve is damaged, naming the file and the remedy.
    """
    path = folder / RECORD_FILE
    try:
        record = Record.from_json(json.loads(path.read_text(encoding="utf-8")))
    except NewerSchemaError as error:
        raise ValueError(f"{path} cannot be read ({error}): update algoprog") from error
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): move its folder away and run it again") from error
    return Run(record, read_curve(folder / CURVE_FILE), folder)


def sweep_name(folder: Path) -> str:
    """Name of a sweep that tells it apart: its path below `multirun`, else the folder's own name."""
    parts = redacted(folder.resolve().parts)
    if "multirun" in parts[:-1]:
        return "/".join(parts[len(parts) - parts[::-1].index("multirun") :])
    return parts[-1]


def find_runs(root: Path) -> Iterator[Path]:
    """Folders of finished runs below `root`, sorted by path."""
    yield from sorted(path.parent for path in root.rglob(RECORD_FILE))


def load_runs(root: Path) -> list[Run]:
    """Every finished run below `root`, sorted by path."""
    return [load_run(folder) for folder in find_runs(root)]


def _finite(value: Any) -> Any:
    """The value with every NaN and infinity as None, which JSON can hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
