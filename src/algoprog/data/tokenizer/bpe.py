"""A byte-level BPE learned from the training split or from a text of its own, served by tiktoken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from algoprog.data.interface import END_OF_TEXT, Corpus, Tokenizer, digest
from algoprog.data.texts import TextFiles
from algoprog.runs.store import write_atomic

if TYPE_CHECKING:
    import tiktoken

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
"""GPT-2's cut into words, as tiktoken writes it."""

SMALLEST = 257  # the bytes and the end-of-text token
LARGEST = 2**20  # several times that of any published model; memory is taken for the whole of it before it is learned


class BpeTokenizer(Tokenizer):
    """Byte pairs merged most frequent first, as in GPT-2, with a vocabulary that fits a small model.

    Source: Sennrich et al. 2016 (arXiv:1508.07909); over bytes: Radford et al. 2019, section 2.2.
    """

    def __init__(self, *, vocab_size: int, train_bytes: int, text: str | None) -> None:
        """Check the vocabulary's size, and find the text.

        Args:
            vocab_size: tokens in all, the 256 bytes and `<|endoftext|>` included.
            train_bytes: text to learn from, taken from its beginning.
            text: file, folder or glob of it; None learns from the training split.

        Raises:
            ValueError: a size that leaves nothing to learn, or there is no such text.
        """
        if vocab_size <= SMALLEST:
            raise ValueError(
                f"tokenizer.vocab_size is {vocab_size} but bytes and {END_OF_TEXT} already take {SMALLEST}: "
                "choose a larger one or tokenizer=bytes"
            )
        if vocab_size > LARGEST:
            raise ValueError(f"tokenizer.vocab_size is {vocab_size}: give at most {LARGEST}")
        if train_bytes <= 0:
            raise ValueError(f"tokenizer.train_bytes is {train_bytes}: give a positive number of bytes")
        self.name = f"bpe{vocab_size}"
        self._vocab_size = vocab_size
        self._train_bytes = train_bytes
        self._files = None if text is None else TextFiles.at(text, "tokenizer.text")
        self.of_the_corpus = text is None

    def fingerprint(self) -> str:
        """Digest of the settings, and of the text where it is a text of its own."""
        own = () if self._files is None else (self._files.fingerprint(),)
        return digest("bpe", PATTERN, self._vocab_size, self._train_bytes, *own)

    def encoding(self, corpus: Corpus, cache_dir: Path) -> tiktoken.Encoding:
        """The encoding learned from `corpus`, or from the text of its own, once, and then read from the cache.

        Raises:
            ValueError: the text is too small for the vocabulary, or the cached file is damaged.
        """
        learned_from = corpus.name if self.of_the_corpus else "text"
        path = cache_dir / "bpe" / f"{learned_from}-{self.name}-{self._key(corpus)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                tokens = self._learn(corpus)
                write_atomic(path, json.dumps([token.hex() for token in tokens]) + "\n")
        return self._encoding(self._read(path))

    def _key(self, corpus: Corpus) -> str:
        return digest(self.fingerprint(), *((corpus.fingerprint(),) if self.of_the_corpus else ()))[:12]

    def _encoding(self, tokens: list[bytes]) -> tiktoken.Encoding:
        import tiktoken

        return tiktoken.Encoding(
            self.name,
            pat_str=PATTERN,
            mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
            special_tokens={END_OF_TEXT: len(tokens)},
            explicit_n_vocab=self._vocab_size,
        )

    def _read(self, path: Path) -> list[bytes]:
        try:
            tokens = [bytes.fromhex(token) for token in json.loads(path.read_text(encoding="utf-8"))]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: delete it, it is learned again") from error
        if len(set(tokens)) != self._vocab_size - 1 or tokens[:256] != [bytes([n]) for n in range(256)]:
            raise ValueError(f"{path} is damaged: delete it, it is learned again")
        return tokens

    def _learn(self, corpus: Corpus) -> list[bytes]:
        """The tokens in the order of their ranks: the 256 bytes, then one for each merge."""
        merges = learn_merges(self._texts(corpus), self._vocab_size - SMALLEST)
        tokens = [bytes([n]) for n in range(256)] + [left + right for left, right in merges]
        if len(set(tokens)) < self._vocab_size - 1:
            source = f"the training split of {corpus.name}" if self.of_the_corpus else "tokenizer.text"
            raise ValueError(
                f"{source} teaches only {len(set(tokens)) + 1} tokens: lower "
                f"tokenizer.vocab_size from {self._vocab_size} or take more text"
            )
        return tokens

    def _texts(self, corpus: Corpus) -> Iterator[str]:
        left = self._train_bytes
        own = (text for split, text in corpus.documents(0) if split == "train")
        for text in own if self._files is None else self._files.texts(lambda text: [text]):
            encoded = text.encode("utf-8", "replace")[:left]
            yield encoded.decode("utf-8", "ignore")
            left -= len(encoded)
            if left <= 0:
                return


def learn_merges(texts: Iterator[str], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Up to `n_merges` merges in the order in which byte-level BPE makes them."""
    # Without it the library warns on standard error when a data loader forks later on.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from tokenizers import Tokenizer as Model
    from tokenizers import models, pre_tokenizers, trainers

    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + n_merges, min_frequency=2, show_progress=False, initial_alphabet=alphabet
    )
    model.train_from_iterator(texts, trainer)
    to_byte = {symbol: byte for byte, symbol in _byte_symbols().items()}
    return [
        (bytes(to_byte[c] for c in left), bytes(to_byte[c] for c in right))
        for left, right in json.loads(model.to_str())["model"]["merges"]
    ]


def _byte_symbols() -> dict[int, str]:
    """The printable character that byte-level BPE writes for each byte: itself where it has one."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [n for n in range(256) if n not in printable]
    return {n: chr(n) for n in printable} | {n: chr(256 + k) for k, n in enumerate(others)}
