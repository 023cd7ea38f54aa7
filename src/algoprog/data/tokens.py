"""Prepared tokens on disk, opened as memory maps."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoprog.data.interface import Split, digest
from algoprog.runs.record import DataInfo
from algoprog.runs.store import write_atomic

FILES: dict[Split, str] = {"train": "train.bin", "val": "val.bin"}
META_FILE = "meta.json"
VERIFIED_FILE = "verified.json"
LENGTHS_FILE = "token_bytes.npy"
"""Bytes of text that each token stands for, 0 for the end of a text; folders of former times have none at first."""

VALIDATION_FILE = "validation.json"
"""What the text is that is validated on; folders of former times have none at first."""

ALWAYS_HASHED_BYTES = 2**24
"""Files up to 16 MiB are hashed whenever they are opened; bigger ones when size or mtime changed since."""


@dataclass(frozen=True)
class Meta:
    """What `meta.json` holds; `vocab_size` counts the end-of-text token."""

    corpus: str
    tokenizer: str
    vocab_size: int
    dtype: str
    train_tokens: int
    val_tokens: int
    val_bytes_per_token: float  # UTF-8 bytes of text per token, end-of-text tokens counted
    train_sha256: str
    val_sha256: str


@dataclass(frozen=True)
class ValidationText:
    """What `validation.json` says of the text that prepared tokens are validated on."""

    sha256: str  # of its documents, whatever the tokens are
    seen: float | None  # share of its passages in the training text; None where the corpus held it out itself


class TokenStore:
    """A prepared folder: `train` and `val` are read-only memory maps, `info` goes into the record."""

    def __init__(self, folder: Path) -> None:
        """Open and check a folder that `prepare` made.

        Raises:
            ValueError: a file is missing, truncated or damaged, with the remedy.
        """
        self.folder = folder
        self.meta = _read_meta(folder)
        self.train = self._open("train", self.meta.train_tokens)
        self.val = self._open("val", self.meta.val_tokens)
        self._verify()

    @property
    def info(self) -> DataInfo:
        """The part of the record that says what was trained on."""
        return DataInfo(
            name=self.meta.corpus,
            tokenizer=self.meta.tokenizer,
            sha256=digest(self.meta.train_sha256, self.meta.val_sha256),
            vocab_size=self.meta.vocab_size,
            train_tokens=self.meta.train_tokens,
            val_tokens=self.meta.val_tokens,
            val_bytes_per_token=self.meta.val_bytes_per_token,
            val_text_sha256=self.validation.sha256 if self.validation else None,
        )

    @property
    def token_bytes(self) -> NDArray[np.int64] | None:
        """Bytes of text of each token; None where nobody could say."""
        with suppress(OSError, ValueError):
            found: NDArray[np.int64] = np.load(self.folder / LENGTHS_FILE, allow_pickle=False)
            return found if found.shape == (self.meta.vocab_size,) and found.dtype == np.int64 else None
        return None

    @property
    def validation(self) -> ValidationText | None:
        """What is validated on; None where nobody could say."""
        with suppress(OSError, ValueError, TypeError):
            return ValidationText(**json.loads((self.folder / VALIDATION_FILE).read_text(encoding="utf-8")))
        return None

    def _open(self, split: Split, n_tokens: int) -> NDArray[np.unsignedinteger]:
        path = self.folder / FILES[split]
        dtype: np.dtype[np.unsignedinteger] = np.dtype(self.meta.dtype)
        if not path.is_file():
            raise _unusable(self.folder, f"has no {path.name}")
        if path.stat().st_size != n_tokens * dtype.itemsize:
            raise _unusable(self.folder, f"has a truncated or foreign {path.name}")
        return np.memmap(path, dtype, mode="r")

    def _verify(self) -> None:
        """Compare the hashes of the token files, unless a big file is as it was at the last comparison."""
        stamps = {name: _stamp(self.folder / name) for name in FILES.values()}
        verified = _read_verified(self.folder)
        expected = {FILES["train"]: self.meta.train_sha256, FILES["val"]: self.meta.val_sha256}
        for name, sha256 in expected.items():
            if stamps[name][0] > ALWAYS_HASHED_BYTES and verified.get(name) == stamps[name]:
                continue
            if file_sha256(self.folder / name) != sha256:
                raise _unusable(self.folder, f"has a damaged {name}")
        if verified != stamps:
            with suppress(OSError):  # a shared cache may be read-only: then it is hashed each time
                write_atomic(self.folder / VERIFIED_FILE, json.dumps(stamps) + "\n")


def token_dtype(n_vocab: int) -> np.dtype[np.unsignedinteger]:
    """The smallest of uint16 and uint32 that holds every token."""
    return np.dtype(np.uint16 if n_vocab <= 2**16 else np.uint32)


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> list[int]:
    """Size in bytes and time of the last change in ns."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read_verified(folder: Path) -> dict[str, list[int]]:
    try:
        verified = json.loads((folder / VERIFIED_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return verified if isinstance(verified, dict) else {}


def _read_meta(folder: Path) -> Meta:
    try:
        raw = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        types = {f.name: type(raw[f.name]).__name__ for f in fields(Meta)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _unusable(folder, f"has no readable {META_FILE}") from error
    if types != {f.name: f.type for f in fields(Meta)} or raw["dtype"] not in ("uint16", "uint32"):
        raise _unusable(folder, f"has a damaged {META_FILE}")
    return Meta(**{name: raw[name] for name in types})


def _unusable(folder: Path, problem: str) -> ValueError:
    return ValueError(
        f"{folder} {problem}: delete that folder, and `algoprog data prepare` or the next run makes it again"
    )
