"""The lines of a table, whatever it is written as: CSV, TSV, or JSON objects."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON_LINES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (".csv", ".tsv", ".tab", *JSON_LINES)
"""Names of the files that are read as a table."""

_MARKS = {";": "semicolons", "|": "bars"}


@dataclass(frozen=True)
class Line:
    """One line: its number in the file, which messages name, and its cells by column; a missing one is empty."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """A table as text."""

    path: Path
    header: tuple[str, ...]
    lines: tuple[Line, ...]

    def at(self, line: Line) -> str:
        """Where a line stands, for messages."""
        return f"{self.path} line {line.number}"


def read_sheet(path: Path) -> Sheet:
    """The lines of a file in UTF-8, empty ones left out.

    Raises:
        ValueError: it cannot be read, is no table, or a line has other cells than the header; names file, line, remedy.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no CSV text ({error}): export it again as UTF-8 CSV") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error
    sheet = _objects(path, text) if path.suffix.lower() in JSON_LINES else _delimited(path, text)
    if not sheet.lines:
        raise ValueError(f"{path} is empty: it needs a header and one line an evaluation")
    return sheet


def _delimited(path: Path, text: str) -> Sheet:
    first = next((line for line in text.split("\n") if _counts(line)), "")
    tabs = path.suffix.lower() in (".tsv", ".tab") or ("\t" in first and "," not in first)
    try:
        rows = list(_rows(text, "\t" if tabs else ","))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV text ({error}): export it again as UTF-8 CSV") from error
    header = tuple(name.strip() for name in rows[0][1]) if rows else ()
    if len(header) == 1 and (mark := next((word for sign, word in _MARKS.items() if sign in header[0]), None)):
        raise ValueError(f"{path} separates its columns by {mark}: save it with commas and decimal points")
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ValueError(f"{path} has two columns named {twice[0]!r}: rename or delete one of them")
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise ValueError(f"{path} line {number} has not {len(header)} cells like its header: export the file again")
    return Sheet(path, header, tuple(Line(number, dict(zip(header, row, strict=True))) for number, row in rows[1:]))


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows that hold anything, from the header on, each with the number of the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = False
    for row in reader:
        header = header or (bool(row) and _counts("".join(row)))
        if header and any(cell.strip() for cell in row):
            yield reader.line_num, row


def _counts(line: str) -> bool:
    """Whether a line may be a header: neither empty nor a comment in front of it."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _objects(path: Path, text: str) -> Sheet:
    """JSON objects, one a line or all in one list; nested ones are named by their path: `eval/loss`."""
    try:
        whole = json.loads(text) if text.lstrip().startswith("[") else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}): write one object a line, or a list of objects") from error
    found = enumerate(whole, start=1) if isinstance(whole, list) else _json_lines(path, text)
    lines = []
    for number, value in found:
        if not isinstance(value, dict):
            raise ValueError(f"{path} line {number} is no JSON object: write one object an evaluation")
        lines.append(Line(number, dict(_flat(value))))
    header = tuple(dict.fromkeys(name for line in lines for name in line.cells))
    return Sheet(path, header, tuple(lines))


def _json_lines(path: Path, text: str) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(
                    f"{path} line {number} is no JSON ({error}): write one object a line, or repair that line"
                ) from error


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The cells of an object as text: none for null, the shortest exact digits for numbers."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", "" if item is None else str(item)
