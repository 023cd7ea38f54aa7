"""A validation text of its own: the same for all corpora that are compared, and none of them may hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from algoprog.data.interface import Corpus, Document, digest
from algoprog.data.overlap import share_seen
from algoprog.data.texts import TextFiles, cut_text
from algoprog.data.tokens import VALIDATION_FILE, ValidationText
from algoprog.runs.store import write_atomic

CHUNK = 2**14
"""Characters of the pieces into which a file that is one long text is cut, so that a part of them is spread over it."""

LARGEST_SHARE = 0.05
"""Of the validation text, what may stand in the training text: formulas that texts have in common, and no copies."""


class WithValidation(Corpus):
    """The training documents of a corpus, validated on other files, all of them."""

    def __init__(self, corpus: Corpus) -> None:
        """Find the files that the corpus names.

        Raises:
            ValueError: there are none.
        """
        assert corpus.validation is not None
        self.corpus, self.validation = corpus, corpus.validation
        self.name, self.max_tokens = corpus.name, corpus.max_tokens
        self._files = TextFiles.at(corpus.validation, "data.validation")

    def fingerprint(self) -> str:
        """Digest of the corpus and of the files."""
        return digest("validation", self.corpus.fingerprint(), self._files.fingerprint(), CHUNK)

    def documents(self, start: int) -> Iterator[Document]:
        """The validation text, then the corpus; what that holds out itself is left blank, so that numbers stay."""
        texts = self._files.texts(lambda text: cut_text(text, -(-len(text) // CHUNK)))
        own: Iterator[Document] = (
            ("train", text if split == "train" else "") for split, text in self.corpus.documents(0)
        )
        validation: Iterator[Document] = (("val", text) for text in texts)
        yield from islice(chain(validation, own), start, None)


def with_validation(corpus: Corpus) -> Corpus:
    """The corpus, or what it is with the validation text that it names."""
    return corpus if corpus.validation is None or isinstance(corpus, WithValidation) else WithValidation(corpus)


def learned_from(corpus: Corpus) -> Corpus:
    """The corpus itself, whose training split tokenizers learn from whatever is validated on."""
    return corpus.corpus if isinstance(corpus, WithValidation) else corpus


def describe(
    folder: Path,
    splits: tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]],
    words: Sequence[bytes],
    *,
    own: bool,
) -> None:
    """Write down what prepared tokens are validated on, once and for all runs.

    Args:
        folder: theirs.
        splits: training and validation tokens.
        words: the bytes of every token.
        own: whether the corpus held the text out itself, so that nobody need look for it in what is trained on.
    """
    train, val = splits
    end = int(val[-1])
    sha256 = hashlib.sha256()
    for document in documents(val, words, end):
        sha256.update(len(document).to_bytes(8))
        sha256.update(document)
    seen = None if own else share_seen(documents(val, words, end), documents(train, words, end))
    write_atomic(
        folder / VALIDATION_FILE, json.dumps(asdict(ValidationText(sha256.hexdigest(), seen)), indent=2) + "\n"
    )


def documents(tokens: NDArray[np.unsignedinteger], words: Sequence[bytes], end_of_text: int) -> Iterator[bytes]:
    """The texts of prepared tokens, one after another."""
    start = 0
    for first in range(0, len(tokens), CHUNK * 64):
        part = np.asarray(tokens[first : first + CHUNK * 64])
        for end in first + np.flatnonzero(part == end_of_text):
            yield b"".join([words[token] for token in tokens[start:end].tolist()])
            start = int(end) + 1
    if start < len(tokens):  # a text that was cut at the largest number of tokens
        yield b"".join([words[token] for token in tokens[start:].tolist()])


def refuse_seen(text: ValidationText, corpus: str, path: str | None) -> None:
    """Refuse to validate on what was trained on.

    Raises:
        ValueError: more than a twentieth of its passages stand in the training text.
    """
    if text.seen is not None and text.seen > LARGEST_SHARE:
        raise ValueError(
            f"{text.seen:.0%} of data.validation={path} stands in the training text of {corpus}: validate on a text"
            f" that none of the data holds (at most {LARGEST_SHARE:.0%} may be in common)"
        )
