"""A price table: what an hour of each device cost, when, and who says so."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

DEVICE, PRICE, DATE = "device", "dollars_per_hour", "date"


@dataclass(frozen=True)
class Prices:
    """Dollars an hour by device, in small letters; the newest of several lines for one counts."""

    path: Path
    per_hour: Mapping[str, float]
    dates: tuple[date, date]

    def of(self, device: str) -> float:
        """Dollars for an hour of one device.

        Raises:
            ValueError: the table has no line for it.
        """
        if device.casefold() not in self.per_hour:
            raise ValueError(f"{self.path} has no price of {device!r}: add a line with that {DEVICE}")
        return self.per_hour[device.casefold()]

    def __str__(self) -> str:
        first, last = self.dates
        when = f"of {first}" if first == last else f"of {first} to {last}"
        return f"prices {when}, from {self.path.name}"


def read_prices(path: Path) -> Prices:
    """The prices of a CSV with the columns `device`, `dollars_per_hour` and `date` (2026-11-26); others are left alone.

    Raises:
        ValueError: the file is not there, lacks a column or a line, or a price or date is none; names file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a price table: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV in UTF-8: write the columns {DEVICE},{PRICE},{DATE}") from error
    missing = [name for name in (DEVICE, PRICE, DATE) if not lines or name not in lines[0]]
    if missing:
        raise ValueError(f"{path} lacks {missing[0]}: write a CSV with the columns {DEVICE},{PRICE},{DATE}, and a line")
    found = [_line(f"{path}, line {number}", cells) for number, cells in enumerate(lines, 2)]
    dates = [when for _, _, when in found]
    newest = sorted(found, key=lambda line: line[2])
    return Prices(path, {device: price for device, price, _ in newest}, (min(dates), max(dates)))


def _line(where: str, cells: Mapping[str, str | None]) -> tuple[str, float, date]:
    device, price, when = ((cells[name] or "").strip() for name in (DEVICE, PRICE, DATE))
    if not device:
        raise ValueError(f"{where}: {DEVICE} is empty: name it as the records do, or delete the line")
    try:
        dollars = float(price)
    except ValueError:
        dollars = math.nan
    if not 0 < dollars < math.inf:
        raise ValueError(f"{where}: {PRICE} is {price!r}, not above 0: write dollars for an hour, such as 2.5")
    try:
        return device.casefold(), dollars, date.fromisoformat(when)
    except ValueError as error:
        raise ValueError(f"{where}: {DATE} is {when!r}, no date: write it as 2026-11-26") from error
