"""Data sets of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from algoprog.data.interface import Corpus, Document, Split, digest
from algoprog.data.tokens import file_sha256

TIMEOUT_SECONDS = 10.0


class HubCorpus(Corpus):
    """A data set of the hub, or a folder with the same files in it; code in a data set is never run.

    Validation is a split of the data set's own, or the documents whose hash falls below a fraction: equal
    documents stay together, and neither the order nor `max_tokens` moves one to the other side.
    """

    def __init__(
        self,
        *,
        path: str,
        name: str | None,
        split: str,
        val_split: str | None,
        val_fraction: float | None,
        text_column: str,
        document_start: str | None,
        revision: str,
        streaming: bool,
        max_tokens: int | None,
        validation: str | None,
    ) -> None:
        """Describe what to take; nothing is loaded before documents are asked for.

        Args:
            path: `owner/name` on the hub, or a folder.
            name: the data set's configuration; None where it has one only.
            split: the split to train on.
            val_split: the split to validate on; None takes `val_fraction` of `split` instead.
            val_fraction: share of the documents held out; None with a `val_split`.
            text_column: the column that holds the text.
            document_start: regular expression of a document's first row, where rows are lines.
            revision: branch, tag or commit.
            streaming: tokenize while downloading and keep no copy.
            max_tokens: training tokens to stop after; None takes everything.
            validation: text to validate on instead; what is held out is not trained on all the same.

        Raises:
            ValueError: both or neither of `val_split` and `val_fraction`, or a value out of range.
        """
        if (val_split is None) == (val_fraction is None):
            raise ValueError("data.val_split and data.val_fraction exclude each other: make one of them null")
        if val_fraction is not None and not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction is {val_fraction}: give a number between 0 and 1")
        if max_tokens is not None and max_tokens <= 0:
            raise ValueError(f"data.max_tokens is {max_tokens}: give a positive number or null")
        self._path, self._config, self._revision, self._streaming = path, name, revision, streaming
        self._split, self._val_split, self._val_fraction = split, val_split, val_fraction
        self._text_column, self._document_start = text_column, document_start
        self.max_tokens, self.validation = max_tokens, validation
        self.name = Path(path).name

    def fingerprint(self) -> str:
        """Digest of the settings and, of a folder, its files: known without the hub."""
        folder = Path(self._path).expanduser()
        files = [file_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()] if folder.is_dir() else self._path
        split = (self._split, self._val_split, self._val_fraction)
        text = (self._text_column, self._document_start)
        return digest("hub", files, self._config, self._revision, split, text, self.max_tokens)

    def documents(self, start: int) -> Iterator[Document]:
        """The validation split if there is one, then the training split, in the data set's order.

        Raises:
            ValueError: the hub cannot be reached or holds no such data set, split or column.
        """
        if self._val_split is None and self._document_start is None:
            yield from self._documents(self._split, None, skip=start)  # rows are documents: a cheap skip
            return
        splits: list[tuple[str, Split | None]] = [(self._split, None)]
        if self._val_split is not None:
            splits = [(self._val_split, "val"), (self._split, "train")]
        everything = (d for name, side in splits for d in self._documents(name, side, skip=0))
        yield from islice(everything, start, None)

    def _documents(self, split_name: str, side: Split | None, *, skip: int) -> Iterator[Document]:
        for text in joined(self._rows(split_name, skip), self._document_start):
            yield side or self._side(text), text

    def _side(self, text: str) -> Split:
        assert self._val_fraction is not None
        first = hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8]
        return "val" if int.from_bytes(first) < self._val_fraction * 2**64 else "train"

    def _rows(self, split_name: str, skip: int) -> Iterator[str]:
        """The text column of one split from row number `skip` on."""
        import datasets

        folder = Path(self._path).expanduser()
        if not folder.is_dir() and not datasets.config.HF_HUB_OFFLINE:
            check_reachable(self._path, self._revision)
        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        try:
            rows = datasets.load_dataset(
                str(folder) if folder.is_dir() else self._path,
                self._config,
                split=split_name,
                revision=None if folder.is_dir() else self._revision,
                streaming=self._streaming,
            )
            if not self._streaming and skip >= len(rows):
                return  # skipping all of a downloaded split is an IndexError
            for batch in rows.skip(skip).iter(batch_size=1000):
                if self._text_column not in batch:
                    raise ValueError(f"its columns are {sorted(batch)}, not {self._text_column!r}")
                yield from (text or "" for text in batch[self._text_column])
        except Exception as error:  # the library raises whatever lies below it
            raise ValueError(
                f"{self._path} (name {self._config}, split {split_name}, revision {self._revision}) cannot "
                f"be read ({type(error).__name__}: {first_line(error)}): correct these settings or, if a "
                "download broke off, run again, which goes on where it stopped"
            ) from error


def check_reachable(path: str, revision: str) -> None:
    """Ask the hub once for the data set, because loading retries for minutes.

    Raises:
        ValueError: the hub does not answer, or knows no such data set.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        huggingface_hub.dataset_info(path, revision=revision, timeout=TIMEOUT_SECONDS)
    except (HfHubHTTPError, HFValidationError) as error:
        raise ValueError(f"the hub offers no {path} ({first_line(error)}): correct it or log in") from error
    except Exception as error:  # whatever the HTTP client calls a failed connection
        raise ValueError(
            f"the Hugging Face hub cannot be reached for {path} ({first_line(error)}): prepare the data on a "
            "machine with internet and copy the cache folder, set HF_HUB_OFFLINE=1 if it was downloaded "
            "before, or choose data=sotu or data=local"
        ) from error


def joined(rows: Iterator[str], document_start: str | None) -> Iterator[str]:
    """Documents from rows: the rows themselves, or the lines from one `document_start` to the next."""
    if document_start is None:
        yield from rows
        return
    begins = re.compile(document_start).match
    lines: list[str] = []
    for row in rows:
        if begins(row) and lines:
            yield "".join(lines)
            lines = []
        lines.append(row)
    if lines:
        yield "".join(lines)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return next(iter(str(error).strip().splitlines()), "no message")
