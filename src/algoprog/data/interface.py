"""Contracts of the data pipeline: corpus -> tokens -> windows."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tiktoken

Split = Literal["train", "val"]
Document = tuple[Split, str]

END_OF_TEXT = "<|endoftext|>"
"""Special token that ends every document; its text inside a document is encoded as ordinary text."""


class Corpus(ABC):
    """Documents of text, already split into training and validation."""

    name: str
    """Short name for tables and the record."""

    max_tokens: int | None
    """Training tokens after which preparing stops; None takes the whole corpus."""

    validation: str | None = None
    """File, folder or glob of another text that is validated on; None where the corpus holds out its own."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of everything that determines the documents and their split."""

    @abstractmethod
    def documents(self, start: int) -> Iterator[Document]:
        """Every document with its split, in a fixed order, from document number `start` on.

        Both splits come from one pass, so that a streamed corpus is downloaded once.

        Raises:
            ValueError: the source is missing, empty or cannot be reached, with the remedy.
        """


class Tokenizer(ABC):
    """Anything that yields a `tiktoken.Encoding`, possibly after learning it from the training split."""

    name: str

    of_the_corpus: bool = False
    """Whether it is learned from the training split, so that every corpus has tokens of its own."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest of the settings that determine the encoding, the corpus excluded."""

    @abstractmethod
    def encoding(self, corpus: Corpus, cache_dir: Path) -> tiktoken.Encoding:
        """The encoding to use on `corpus`; what had to be learned is kept below `cache_dir`."""


def digest(*parts: Any) -> str:
    """Hex sha256 of a list of JSON values: the one way in which fingerprints are made."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def padded_vocab_size(n_vocab: int) -> int:
    """Rows of the embedding for `n_vocab` tokens: the next multiple of 64, which matrix units like.

    `n_vocab` counts the end-of-text token: GPT-2's 50257 become 50304.
    """
    return -(-n_vocab // 64) * 64
