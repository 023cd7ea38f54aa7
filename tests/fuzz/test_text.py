"""Folders of odd and damaged text: every byte of it is in the tokens once, or one sentence says why not."""

from __future__ import annotations

import gzip
import json
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from algoprog.data.local import LocalCorpus
from algoprog.data.prepare import prepare
from algoprog.data.tokenizer.bytes import BytesTokenizer
from algoprog.data.tokens import TokenStore
from algoprog.runs.mistake import sentence
from tests.fuzz.command import assert_sentence, few

WORDS = (
    "word",
    "größer",
    "漢字",
    "🏳️‍🌈",
    "a\x00b",
    "<|endoftext|>",
    "\ufffd",
    "a\u2028b",
    "{}",
    '"',
    "\\",
    "é\u0301",
    "\x1b[0m",
)
NAMES = ("a", "b.c", "c d", "é", "=,$", "[x]", "*", "~", "it's", '"', "\\", "${x}", "-", "\u202e", "a.txt.b", "x" * 200)
SUFFIXES = ("txt", "jsonl", "txt.gz", "jsonl.gz", "txt.zst", "jsonl.zst", "TXT", "json", "md", "csv", "gz", "parquet")


@dataclass(frozen=True)
class File:
    """A file below the corpus: its bytes, and the texts that are read from it; None where it cannot be read."""

    path: str
    content: bytes
    texts: tuple[str, ...] | None


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file of some kind, as people keep them, damaged now and then."""
    suffix = draw(st.sampled_from(SUFFIXES))
    kind = suffix.lower().partition(".")[0]
    rows = draw(st.lists(texts, min_size=1, max_size=40))
    content, read = _lines(draw, rows) if kind == "jsonl" else _plain(draw, rows)
    read = read if kind in ("txt", "jsonl") else None
    content, cut = _packed(draw, content, suffix.lower().rpartition(".")[2])
    path = (
        f"{draw(st.sampled_from(('', '', '', 'deep/', '.hidden/', 'deep/.x/')))}{draw(st.sampled_from(NAMES))}.{suffix}"
    )
    hidden = any(part.startswith(".") for part in path.split("/"))
    unread = hidden or kind in ("json", "md", "csv", "gz")
    return File(path, content, () if unread else None if cut else read)


def _plain(draw: st.DrawFn, rows: list[str]) -> tuple[bytes, tuple[str, ...] | None]:
    end = draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    text = end.join(rows)
    read = (text.replace("\r\n", "\n"),)
    odd = draw(st.sampled_from(["", "", "", "", "BOM", "latin-1", "utf-16", "empty", "blank"]))
    if odd in ("empty", "blank"):
        return (b"" if odd == "empty" else b" \n\t\n"), ()
    if odd == "latin-1":
        return text.encode() + "\ncaf\xe9".encode("latin-1"), None
    if odd == "utf-16":
        return text.encode("utf-16"), None
    return (b"\xef\xbb\xbf" if odd else b"") + text.encode(), read


def _lines(draw: st.DrawFn, rows: list[str]) -> tuple[bytes, tuple[str, ...] | None]:
    lines = [
        json.dumps({"text": row, "id": n}, ensure_ascii=draw(st.booleans())).encode() for n, row in enumerate(rows)
    ]
    damage = draw(st.sampled_from([b"", b"", b"", b"", *DAMAGED_LINES]))
    if damage:
        lines.insert(draw(st.integers(0, len(lines))), damage)
    return draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(lines), None if damage else tuple(rows)


DAMAGED_LINES = (
    b'{"text": "half',
    b'{"text": 3}',
    b'{"body": "a"}',
    b"[1]",
    b"NaN",
    b'{"text": "caf\xe9"}',
    b'{"text": "a\x00b"}',
    b"[" * 5000,
    b"9" * 6000,
    b"\xff\xfe{\x00",
    b'{"text": ["a"]}',
    b"\x00",
)


def _packed(draw: st.DrawFn, content: bytes, suffix: str) -> tuple[bytes, bool]:
    """As the suffix says, and whether the end is missing."""
    if suffix not in ("gz", "zst"):
        return content, False
    members = (
        [content, b""] if not draw(st.booleans()) else [content[: len(content) // 2], content[len(content) // 2 :]]
    )
    pack = gzip.compress if suffix == "gz" else lambda part: bytes(pa.Codec("zstd").compress(part, asbytes=True))
    packed = b"".join(pack(part) for part in members if part or not content)
    cut = draw(st.sampled_from([0, 0, 0, 0, 1, 9]))
    return packed[: len(packed) - cut] if cut else packed, bool(cut)


def write(root: Path, found: list[File]) -> list[File]:
    """Put the files below a folder, each name once; those that are there."""
    kept: dict[str, File] = {}
    for file in found:
        place = root / file.path
        if file.path not in kept and len(place.name.encode()) < 256:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
            kept[file.path] = file
    return list(kept.values())


LINKS = ("no", "no", "file", "folder", "nowhere", "itself", "round")


def link(root: Path, kind: str, path: str) -> None:
    """A link to what is below the folder already, or to nothing; it adds no text."""
    name = f"zz{''.join(Path(path).suffixes[-2:])}" if kind == "file" else "zz.txt"
    places = {"file": path, "folder": "deep", "nowhere": "gone", "itself": name, "round": "."}
    hidden = kind == "file" and any(part.startswith(".") for part in path.split("/"))
    if kind in places and not hidden and (kind != "folder" or (root / "deep").is_dir()):
        (root / name).symlink_to(root / places[kind])


def prepared(path: Path, cache: Path) -> TokenStore | str:
    """The tokens of a user's text, or what the user is told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            corpus = LocalCorpus(path=str(path), text_column="text", val_fraction=0.05, validation=None)
            return prepare(corpus, BytesTokenizer(), cache, progress=False)
    except (OSError, ValueError) as error:
        return sentence(error)


def bytes_in(store: TokenStore) -> Counter[int]:
    """How often each byte is among the tokens."""
    return Counter(token for split in (store.train, store.val) for token in split.tolist() if token < 256)


def bytes_of(found: list[File]) -> Counter[int]:
    return Counter(b"".join(text.encode() for file in found for text in file.texts or ()))


TOO_LITTLE = ("has no training text", "has no validation text", "no file of a known kind", "is empty", "lies beside")


@few(60)
@given(found=st.lists(files(), min_size=1, max_size=4), kind=st.sampled_from(LINKS), name=st.sampled_from(NAMES))
def test_a_folder_of_text_is_read_whole_or_refused_in_one_sentence(found: list[File], kind: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, name)
        root.mkdir()
        there = write(root, found)
        link(root, kind, there[0].path)
        store = prepared(root, Path(place, "cache"))
        if isinstance(store, TokenStore):
            assert all(file.texts is not None for file in there)
            assert bytes_in(store) == bytes_of(there)
            again = prepared(root, Path(place, "cache"))
            assert isinstance(again, TokenStore)
            assert again.info == store.info
            return
    assert_sentence(store)
    if all(file.texts is not None for file in there):
        assert any(part in store for part in TOO_LITTLE), store


@few(60)
@given(content=st.binary(max_size=400), suffix=st.sampled_from(SUFFIXES), big=st.sampled_from([1, 1, 1, 300]))
def test_any_bytes_are_text_or_one_sentence(content: bytes, suffix: str, big: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, f"a.{suffix}")
        path.write_bytes(content * big)
        store = prepared(path, Path(place, "cache"))
    if isinstance(store, str):
        assert_sentence(store)
