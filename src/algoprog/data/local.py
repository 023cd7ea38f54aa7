"""The user's own text: .txt, .jsonl, .parquet and .arrow files, text also as .gz or .zst, and .md and .json by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from algoprog.data.files import find_files
from algoprog.data.interface import Corpus, Document, digest
from algoprog.data.texts import TextFiles, cut_text

CHUNKS_HELD_OUT = 10  # of every .txt file that is cut into chunks


class LocalCorpus(Corpus):
    """One file, a folder or a glob; whole documents, spread evenly over the corpus, are held out.

    A document is a row or, where there are enough of them to hold some out, a .txt file. Fewer .txt files are
    cut into contiguous chunks at blank lines (else line ends, else spaces), and whole chunks are held out.
    """

    max_tokens = None

    def __init__(self, *, path: str, text_column: str, val_fraction: float, validation: str | None) -> None:
        """Find the files.

        Args:
            path: a file, a folder (searched through) or a glob, relative to the working directory.
            text_column: key or column of .jsonl, .parquet and .arrow files that holds the text.
            val_fraction: share of the documents held out, at most a half.
            validation: text to validate on instead; the share is held out all the same.

        Raises:
            ValueError: there is no such file, it is empty, or its kind is unknown.
        """
        if not 0 < val_fraction <= 0.5:
            raise ValueError(f"data.val_fraction is {val_fraction}: give a number above 0 and up to 0.5")
        self._files = TextFiles(tuple(find_files(path)), text_column, "set data.text_column")
        self._every = round(1 / val_fraction)
        self.validation = validation
        self.name = Path(path).stem.strip("*.") or "local"

    def fingerprint(self) -> str:
        """Digest of the files' contents in order, and of the settings."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        files = self._files
        return digest("local", files.fingerprint(), files.column, self._every, CHUNKS_HELD_OUT)

    def documents(self, start: int) -> Iterator[Document]:
        """Every document in the order of the files' paths.

        Raises:
            ValueError: a file is damaged, no UTF-8, or lacks the text column.
        """
        for number, text in islice(enumerate(self._texts()), start, None):
            yield "val" if number % self._every == self._every // 2 else "train", text

    def _texts(self) -> Iterator[str]:
        few = len(self._files.whole()) < self._every
        return self._files.texts(lambda text: cut_text(text, self._every * CHUNKS_HELD_OUT) if few else [text])
