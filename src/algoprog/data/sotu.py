"""The embedded corpus: the State of the Union messages, 1790-2021. Provenance: `assets/sotu.md`."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from algoprog.data.interface import Corpus, Document, digest

SOURCE = Path(__file__).parent / "assets" / "sotu.jsonl.xz"
SHA256 = "6eb2f97b88ac4be8088628087a5b0cb4c677aad73a523d9c8b3361a9a84e624d"
EVERY, OFFSET = 20, 10  # address number n, in the order of the years, is held out where n % EVERY == OFFSET


class SotuCorpus(Corpus):
    """233 addresses, 10.8 MB; every 20th whole address, spread over the years, is held out for validation."""

    name = "sotu"
    max_tokens = None

    def __init__(self, *, validation: str | None) -> None:
        """Take the embedded file.

        Args:
            validation: text to validate on instead; the addresses held out are not trained on all the same.
        """
        self.validation = validation

    def fingerprint(self) -> str:
        """Digest of the file's known hash and the rule of the split."""
        return digest("sotu", SHA256, EVERY, OFFSET)

    def documents(self, start: int) -> Iterator[Document]:
        """The addresses in the order of the years.

        Raises:
            ValueError: the file that ships with the package is missing or damaged.
        """
        content = SOURCE.read_bytes() if SOURCE.is_file() else b""
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ValueError(f"{SOURCE} is missing or damaged: install algoprog again")
        lines = lzma.decompress(content).splitlines()
        for number, line in islice(enumerate(lines), start, None):
            yield "val" if number % EVERY == OFFSET else "train", json.loads(line)["text"]
