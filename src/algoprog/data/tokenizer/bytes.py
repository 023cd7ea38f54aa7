"""One token a byte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.data.interface import END_OF_TEXT, Corpus, Tokenizer, digest

if TYPE_CHECKING:
    import tiktoken


class BytesTokenizer(Tokenizer):
    """The 256 bytes of UTF-8 and the end-of-text token: 257 tokens, nothing learned."""

    name = "bytes"

    def fingerprint(self) -> str:
        """Digest of the name."""
        return digest("bytes")

    def encoding(self, corpus: Corpus, cache_dir: Path) -> tiktoken.Encoding:
        """Token number n is the byte n, token 256 ends a document."""
        import tiktoken

        return tiktoken.Encoding(
            "bytes",
            pat_str=r"[\s\S]{1,32}",  # any cut does, for nothing is merged; short pieces are fast
            mergeable_ranks={bytes([n]): n for n in range(256)},
            special_tokens={END_OF_TEXT: 256},
            explicit_n_vocab=257,
        )
