"""GPT-2's tokenizer, 50257 tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.data.interface import Corpus, Tokenizer, digest

if TYPE_CHECKING:
    import tiktoken


class Gpt2Tokenizer(Tokenizer):
    """The tokenizer of GPT-2, whose ranks tiktoken downloads at first use."""

    name = "gpt2"

    def fingerprint(self) -> str:
        """Digest of the name: tiktoken checks the hash of the ranks itself."""
        return digest("gpt2")

    def encoding(self, corpus: Corpus, cache_dir: Path) -> tiktoken.Encoding:
        """GPT-2's encoding, the same for every corpus.

        Raises:
            ValueError: the ranks are neither cached nor can be downloaded.
        """
        import tiktoken

        try:
            return tiktoken.get_encoding("gpt2")
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
            raise ValueError(
                f"the ranks of tokenizer=gpt2 cannot be downloaded ({type(error).__name__}): set "
                "TIKTOKEN_CACHE_DIR to a folder that holds tiktoken's files for gpt2, or choose tokenizer=bpe"
            ) from error
