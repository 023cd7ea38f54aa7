"""How much of one text stands in another: its passages of 64 bytes, wherever lines are broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

PASSAGE = 64
"""Bytes of a passage, about a dozen words; a text that is shorter is one passage."""

BATCH = 2**17
"""Bytes that are looked at together: few enough to stay near the processor."""

FILTER_BITS = 24

Hashes = NDArray[np.uint64]

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHORT = b"\0"
"""Fills a short text up to a passage."""


def share_seen(texts: Iterable[bytes], others: Iterable[bytes]) -> float:
    """Share of the distinct passages of some texts that stand in others too; white space counts as one space.

    A passage is 64 bytes of UTF-8 at any place. Memory goes with the first texts alone.
    """
    own = np.unique(np.concatenate([np.empty(0, np.uint64), *_hashes_of(texts, together=1)]))
    if not len(own):
        return 0.0
    likely = np.zeros(2**FILTER_BITS, bool)
    likely[_short_hash(own)] = True
    seen = np.zeros(len(own), bool)
    for found in _hashes_of(others, together=BATCH):
        found = found[likely[_short_hash(found)]]
        place = np.minimum(np.searchsorted(own, found), len(own) - 1)
        seen[place[own[place] == found]] = True
    return float(seen.mean())


def _short_hash(hashes: Hashes) -> NDArray[np.intp]:
    return (hashes >> np.uint64(64 - FILTER_BITS)).astype(np.intp)


def _hashes_of(texts: Iterable[bytes], together: int) -> Iterator[Hashes]:
    """Hashes of the passages of texts, joined to about so many bytes; long ones are cut where passages overlap."""
    for joined in _joined(texts, together):
        for start in range(0, len(joined) - PASSAGE + 1, BATCH):
            yield _hashes(joined[start : start + BATCH + PASSAGE - 1])


def _joined(texts: Iterable[bytes], together: int) -> Iterator[bytes]:
    """Texts with single spaces, blank ones left out, the short ones filled up."""
    batch: list[bytes] = []
    length = 0
    for text in texts:
        if not (plain := b" ".join(text.split())):
            continue
        batch.append(plain.ljust(PASSAGE, _SHORT))
        length += len(plain)
        if length >= together:
            yield b"\n".join(batch)
            batch, length = [], 0
    if batch:
        yield b"\n".join(batch)


def _hashes(text: bytes) -> Hashes:
    """Of every passage of a text: sum of byte k times base^k, mod 2^64, shifted to the passage's begin, and mixed.

    Source: Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms".
    """
    codes = np.frombuffer(text, np.uint8).astype(np.uint64) + np.uint64(1)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(codes * _powers(len(codes), _BASE), out=sums[1:])
    n = len(codes) - PASSAGE + 1
    inverse = np.uint64(pow(int(_BASE), -1, 2**64))
    hashes = (sums[PASSAGE:] - sums[:n]) * _powers(n, inverse) * _MIX
    return (hashes ^ hashes >> np.uint64(31)) * _BASE


def _powers(n: int, base: np.uint64) -> Hashes:
    """Base^0 to base^(n - 1), mod 2^64."""
    powers = np.full(n, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)
