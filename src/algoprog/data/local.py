"""The user's own text: .txt, .jsonl, .parquet and .arrow files, text also as .gz or .zst, and .md and .json by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from algoprog.data.files import LINES, TABLES, find_files, how, kind, opened, refuse_odd_bytes
from algoprog.data.interface import Corpus, Document, digest
from algoprog.data.tokens import file_sha256

JSON = ".json"
CHUNKS_HELD_OUT = 10  # of every .txt file that is cut into chunks


class LocalCorpus(Corpus):
    """One file, a folder or a glob; whole documents, spread evenly over the corpus, are held out.

    A document is a row or, where there are enough of them to hold some out, a .txt file. Fewer .txt files are
    cut into contiguous chunks at blank lines (else line ends, else spaces), and whole chunks are held out.
    """

    max_tokens = None

    def __init__(self, *, path: str, text_column: str, val_fraction: float) -> None:
        """Find the files.

        Args:
            path: a file, a folder (searched through) or a glob, relative to the working directory.
            text_column: key or column of .jsonl, .parquet and .arrow files that holds the text.
            val_fraction: share of the documents held out, at most a half.

        Raises:
            ValueError: there is no such file, it is empty, or its kind is unknown.
        """
        if not 0 < val_fraction <= 0.5:
            raise ValueError(f"data.val_fraction is {val_fraction}: give a number above 0 and up to 0.5")
        self._files = find_files(path)
        self._text_column = text_column
        self._every = round(1 / val_fraction)
        self.name = Path(path).stem.strip("*.") or "local"

    def fingerprint(self) -> str:
        """Digest of the files' contents in order, and of the settings."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        files = [(how(path), file_sha256(path)) for path in self._files]
        return digest("local", files, self._text_column, self._every, CHUNKS_HELD_OUT)

    def documents(self, start: int) -> Iterator[Document]:
        """Every document in the order of the files' paths.

        Raises:
            ValueError: a file is damaged, no UTF-8, or lacks the text column.
        """
        for number, text in islice(enumerate(self._texts()), start, None):
            yield "val" if number % self._every == self._every // 2 else "train", text

    def _texts(self) -> Iterator[str]:
        whole = {path for path in self._files if kind(path) not in (*LINES, *TABLES, JSON)}
        few = len(whole) < self._every
        for path in self._files:
            if path in whole:
                text = _read_text(path)
                yield from cut_text(text, self._every * CHUNKS_HELD_OUT) if few else [text]
            elif kind(path) in LINES:
                yield from _json_texts(path, self._text_column)
            elif kind(path) == JSON:
                yield from _array_texts(path, self._text_column)
            else:
                yield from _arrow_texts(path, self._text_column)


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


def _json_texts(path: Path, column: str) -> Iterator[str]:
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"line {number} of {path}"
                yield _text_of(_parsed(line, where, "one JSON object a line"), column, where)


def _array_texts(path: Path, column: str) -> Iterator[str]:
    """The texts of one JSON value: an array of objects or of texts, or one object."""
    where = str(path)
    content = _parsed(_read_text(path), where, "JSON")
    for number, row in enumerate(content if isinstance(content, list) else [content], 1):
        yield row if isinstance(row, str) else _text_of(row, column, f"entry {number} of {where}")


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


def _text_of(row: Any, column: str, where: str) -> str:
    """The text of one JSON row; an absent text (null) is an empty one, half a surrogate pair is replaced."""
    if not isinstance(row, dict) or column not in row:
        names = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"{where} has no key {column!r} but {names}: set data.text_column")
    text = "" if row[column] is None else row[column]
    if not isinstance(text, str):
        raise ValueError(f"{where} has no text under {column!r}: set data.text_column")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _arrow_texts(path: Path, column: str) -> Iterator[str]:
    import pyarrow as pa

    try:
        for names, batches in _record_batches(path, column):
            if column not in names:
                raise ValueError(f"{path} has no column {column!r} but {names}: set data.text_column")
            for batch in batches:
                yield from (_text_of({column: t}, column, str(path)) for t in batch.column(column).to_pylist())
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
