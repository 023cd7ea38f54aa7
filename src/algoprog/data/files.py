"""The files of a user's own corpus: which there are at a path, and their text, packed or not."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import TextIO

from algoprog.runs.mistake import visible

TEXT, LINES, TABLES = (".txt",), (".jsonl",), (".parquet", ".arrow")
SUFFIXES = (*TEXT, *LINES, *TABLES)
"""Kinds that are read wherever they lie."""

BY_NAME = (".md", ".json")
"""Kinds that are read where they are asked for by name: in a folder of text they are about it, not of it."""

PACKED = {".gz": "gzip", ".zst": "zstd"}
"""How text may be packed; columns pack themselves."""


def kind(path: Path) -> str:
    """What a file holds, as its suffix says: `.jsonl` for `a.jsonl.gz`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def how(path: Path) -> str:
    """Kind and packing of a file."""
    return path.suffix.lower() if path.suffix.lower() not in PACKED else kind(path) + path.suffix.lower()


def find_files(path: str, setting: str = "data.path") -> list[Path]:
    """The corpus files at a path or glob that a setting gives, sorted, each once.

    Hidden files and folders are passed over; links to folders are followed, a folder that was met before is not
    entered again. Files of other kinds are named in one line, for nobody else would notice that they are missing.

    Raises:
        ValueError: there are none, nothing is in them, or a text lies there twice, packed and not.
    """
    kinds = ", ".join(SUFFIXES)
    if not path:
        raise ValueError(f"a text of your own needs {setting}: give a file, a folder or a glob of {kinds}")
    root = Path(path).expanduser()
    found = _below(root) if root.is_dir() else _named(root)
    if not found and not root.is_dir():
        raise ValueError(f"{setting}={path} does not exist (seen from {Path.cwd()}): correct {setting}")
    known = (*SUFFIXES, *(suffix for suffix in BY_NAME if root.name.lower().endswith(_endings(suffix))))
    files = [file for file in found if kind(file) in known and _is_readable(file)]
    others = Counter(file.suffix.lower() or file.name for file in {*found} - {*files})
    if not files:
        there = f" ({_listed(others)} is there)" if others else ""
        raise ValueError(f"{setting}={path} holds no file of a known kind: give {kinds}, or text as .gz or .zst{there}")
    if not any(file.stat().st_size for file in files):
        raise ValueError(f"{setting}={path} is empty: put text into it or correct {setting}")
    _refuse_twins(files)
    if others:
        print(visible(f"{setting}={path}: {_listed(others)} passed over, read are {kinds}"), file=sys.stderr)
    return files


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text, unpacked; a byte that is no UTF-8 comes as half a surrogate pair.

    Raises:
        ValueError: it is damaged, naming it.
    """
    if path.suffix.lower() not in PACKED:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as plain:
            yield plain
        return
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression=PACKED[path.suffix.lower()]) as packed:
            yield io.TextIOWrapper(packed, encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise ValueError(f"{path} cannot be unpacked ({' '.join(str(error).split())}): replace it") from error


def refuse_odd_bytes(text: str, where: str) -> None:
    """Hold a text that `opened` gave against UTF-8.

    Raises:
        ValueError: a byte of it is none, naming the place and the line.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        at = f"line {line} of {where}" if "\n" in text[:-1] else where
        raise ValueError(f"{at} is not UTF-8 text: convert it to UTF-8") from None


def _named(root: Path) -> list[Path]:
    """The file itself, or what a glob matches."""
    matches = [root] if root.exists() else [Path(path) for path in glob(str(root), recursive=True)]  # noqa: PTH207 - may be absolute
    return _once(path for path in matches if path.is_file())


def _below(root: Path) -> list[Path]:
    """Files of a folder and of those in it, hidden ones excepted; a folder is entered once, whoever links to it."""
    seen: set[tuple[int, int]] = set()
    found: list[Path] = []
    for folder, names, files in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        place = (status.st_dev, status.st_ino)
        if place in seen:
            names.clear()
            continue
        seen.add(place)
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    return _once(path for path in found if path.is_file())


def _once(paths: Iterator[Path]) -> list[Path]:
    """Each file under the first of its names: a second link to a text would have it read twice."""
    return sorted({os.path.realpath(path): path for path in sorted(paths, reverse=True)}.values())


def _endings(suffix: str) -> tuple[str, ...]:
    return (suffix, *(suffix + packed for packed in PACKED))


def _is_readable(path: Path) -> bool:
    """Whether a known kind can be read as it is packed."""
    return path.suffix.lower() not in PACKED or kind(path) not in TABLES


def _refuse_twins(files: list[Path]) -> None:
    there = {*files}
    for file in files:
        plain = file.with_suffix("")
        if file.suffix.lower() in PACKED and plain in there:
            raise ValueError(f"{plain} lies beside {file.name}, and the text would be read twice: move one away")


def _listed(others: Counter[str]) -> str:
    return " and ".join(f"{count} {name} file{'s' if count > 1 else ''}" for name, count in sorted(others.items()))
