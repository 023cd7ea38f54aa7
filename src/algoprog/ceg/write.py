"""Gains as files: gains.csv for spreadsheets, gains.json for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from algoprog.ceg.gains import Gain
from algoprog.runs.record import GAINS_CSV, GAINS_JSON
from algoprog.runs.store import write_atomic

COLUMNS = tuple(field.name for field in fields(Gain))
"""Keys of every object of gains.json, columns of gains.csv."""


def write_gains(folder: Path, gains: Sequence[Gain]) -> None:
    """Write gains.csv and gains.json into a folder, each atomically."""
    write_atomic(folder / GAINS_JSON, gains_json(gains))
    write_atomic(folder / GAINS_CSV, gains_csv(gains))


def gains_json(gains: Sequence[Gain]) -> str:
    """A list of objects with exactly the keys `COLUMNS`; null for numbers that do not exist."""
    return json.dumps([_plain(gain) for gain in gains], indent=2, allow_nan=False) + "\n"


def gains_csv(gains: Sequence[Gain]) -> str:
    """One line a gain; empty cells for numbers that do not exist, flags separated by spaces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for gain in gains:
        writer.writerow({**_plain(gain), "flags": " ".join(gain.flags)})
    return text.getvalue()


def _plain(gain: Gain) -> dict[str, Any]:
    """The gain as JSON types, in the order of its fields."""
    values = {key: _finite(value) for key, value in asdict(gain).items()}
    return {**values, "flags": list(gain.flags)}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
