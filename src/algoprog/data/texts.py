"""The documents in files of text: .txt and .md whole or cut, .jsonl, .json, .parquet and .arrow by rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from algoprog.data.files import LINES, TABLES, find_files, how, kind, opened, refuse_odd_bytes
from algoprog.data.tokens import file_sha256

JSON = ".json"

COLUMN = "text"
"""Key or column of the text in files that a setting names by their path alone."""


@dataclass(frozen=True)
class TextFiles:
    """The files that a setting names, and how their rows are read."""

    paths: tuple[Path, ...]
    column: str = COLUMN
    remedy: str = f"name it {COLUMN!r}"  # where the column is not there

    @classmethod
    def at(cls, path: str, setting: str) -> TextFiles:
        """Those of a file, a folder or a glob that a setting gives.

        Raises:
            ValueError: there is no such file, it is empty, or its kind is unknown.
        """
        return cls(tuple(find_files(path, setting)))

    def fingerprint(self) -> list[tuple[str, str]]:
        """Kind and hash of every file, in order."""
        return [(how(path), file_sha256(path)) for path in self.paths]

    def whole(self) -> set[Path]:
        """The files that are one text each."""
        return {path for path in self.paths if kind(path) not in (*LINES, *TABLES, JSON)}

    def texts(self, cut: Callable[[str], list[str]]) -> Iterator[str]:
        """Every document in the order of the files, those that are one text as they are cut.

        Raises:
            ValueError: a file is damaged, no UTF-8, or lacks the text column.
        """
        whole = self.whole()
        for path in self.paths:
            if path in whole:
                yield from cut(_read_text(path))
            elif kind(path) in LINES:
                yield from _json_texts(path, self)
            elif kind(path) == JSON:
                yield from _array_texts(path, self)
            else:
                yield from _arrow_texts(path, self)


def cut_text(text: str, n_chunks: int) -> list[str]:
    """About `n_chunks` contiguous pieces of equal length that join to `text` again.

    Cut at blank lines if there are as many as chunks, else at line ends, else at spaces.
    """
    mark = next((mark for mark in ("\n\n", "\n") if text.count(mark) >= n_chunks), " ")
    found = (text.find(mark, k * len(text) // n_chunks) for k in range(1, n_chunks))
    cuts = [0, *sorted({place + len(mark) for place in found if place >= 0}), len(text)]
    return [text[a:b] for a, b in pairwise(cuts)]


def _read_text(path: Path) -> str:
    with opened(path) as file:
        text = file.read()
    refuse_odd_bytes(text, str(path))
    return text


def _json_texts(path: Path, files: TextFiles) -> Iterator[str]:
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"line {number} of {path}"
                yield _text_of(_parsed(line, where, "one JSON object a line"), files, where)


def _array_texts(path: Path, files: TextFiles) -> Iterator[str]:
    """The texts of one JSON value: an array of objects or of texts, or one object."""
    where = str(path)
    content = _parsed(_read_text(path), where, "JSON")
    for number, row in enumerate(content if isinstance(content, list) else [content], 1):
        yield row if isinstance(row, str) else _text_of(row, files, f"entry {number} of {where}")


def _parsed(text: str, where: str, what: str) -> Any:
    try:
        text.encode()
        return json.loads(text)
    except UnicodeEncodeError:
        why = "it is no UTF-8 text"
    except json.JSONDecodeError as error:
        why = f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at column {error.colno}"
    except (RecursionError, ValueError) as error:  # nested without end; a number of thousands of digits
        why = type(error).__name__
    raise ValueError(f"{where} is not {what} ({why}): correct it")


def _text_of(row: Any, files: TextFiles, where: str) -> str:
    """The text of one JSON row; an absent text (null) is an empty one, half a surrogate pair is replaced."""
    column = files.column
    if not isinstance(row, dict) or column not in row:
        names = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"{where} has no key {column!r} but {names}: {files.remedy}")
    text = "" if row[column] is None else row[column]
    if not isinstance(text, str):
        raise ValueError(f"{where} has no text under {column!r}: {files.remedy}")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _arrow_texts(path: Path, files: TextFiles) -> Iterator[str]:
    import pyarrow as pa

    column = files.column
    try:
        for names, batches in _record_batches(path, column):
            if column not in names:
                raise ValueError(f"{path} has no column {column!r} but {names}: {files.remedy}")
            for batch in batches:
                yield from (_text_of({column: t}, files, str(path)) for t in batch.column(column).to_pylist())
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged or no {path.suffix} file: replace it") from error


def _record_batches(path: Path, column: str) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """Column names and record batches of a .parquet or .arrow file."""
    import pyarrow as pa
    from pyarrow import ipc, parquet

    if path.suffix.lower() == ".parquet":
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            yield names, file.iter_batches(1024, columns=[column] if column in names else [])
        return
    with pa.memory_map(str(path)) as source:
        try:  # Hugging Face writes streams, other programs the file format
            reader = ipc.open_stream(source)
            yield reader.schema.names, iter(reader)
        except pa.ArrowInvalid:
            reader = ipc.open_file(source)
            yield reader.schema.names, (reader.get_batch(i) for i in range(reader.num_record_batches))
