"""Windows of tokens: which tokens the i-th sample of a run consists of.

The order depends on the seed and the position alone, never on the variant or on where a run was resumed, so
variants of one seed see identical batches. Nothing is shuffled in memory: the place of a window is computed,
in the same time and memory for a corpus of any size.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

Tokens = NDArray[np.unsignedinteger]
Window = tuple[Int64[Tensor, " seq_len"], Int64[Tensor, " seq_len"]]

IGNORED = -100
"""A target that is none, as `torch.nn.functional.cross_entropy` has it."""

GOLDEN_RATIO = 0.6180339887498949

_MASK = 2**64 - 1
_ROUNDS = 6


class TrainWindows(Dataset[Window]):
    """The training windows `start` to `n_windows` of a run; item i is window `start + i`.

    Each epoch passes once over non-overlapping windows, in an order and with an offset that depend on (seed,
    epoch). Less than two windows' worth of tokens at the ends is left out, another part in each epoch.
    """

    def __init__(self, tokens: Tokens, seq_len: int, seed: int, n_windows: int, start: int = 0) -> None:
        """Describe the windows of a run.

        Args:
            tokens: the training split.
            seq_len: tokens a window predicts.
            seed: what the order depends on.
            n_windows: windows in the whole run, over as many epochs as it takes.
            start: windows that an interrupted run has already seen.

        Raises:
            ValueError: the split is shorter than one window.
        """
        _check_length(tokens, seq_len, "training")
        self._tokens = np.asarray(tokens)  # slicing a plain view is cheaper than slicing a memmap
        self._seq_len = seq_len
        self._seed = seed
        self._start = start
        self._n_windows = n_windows
        self.windows_per_epoch = max(1, (len(tokens) - 1) // seq_len - 1)

    def __len__(self) -> int:
        return max(0, self._n_windows - self._start)

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return _window(self._tokens, self.position(self._start + index), self._seq_len)

    def position(self, window: int) -> int:
        """Where window number `window` of the run begins in the token file."""
        epoch, rank = divmod(window, self.windows_per_epoch)
        key = _mix(_mix(self._seed & _MASK) ^ epoch)
        slack = len(self._tokens) - 1 - self.windows_per_epoch * self._seq_len
        return _mix(key) % (slack + 1) + permuted(rank, self.windows_per_epoch, key) * self._seq_len


class ValidationWindows(Dataset[Window]):
    """Evenly spaced, non-overlapping windows of the validation text, the same at every evaluation of every run.

    They hold at most `max_tokens` tokens, and one window at least.
    """

    def __init__(self, tokens: Tokens, seq_len: int, max_tokens: int) -> None:
        """Choose the windows.

        Raises:
            ValueError: the split is shorter than one window.
        """
        _check_length(tokens, seq_len, "validation")
        self._tokens = np.asarray(tokens)
        self._seq_len = seq_len
        self._n_windows = max(1, min(max_tokens, len(tokens) - 1) // seq_len)

    def __len__(self) -> int:
        return self._n_windows

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return _window(self._tokens, self.position(index), self._seq_len)

    def position(self, window: int) -> int:
        """Where window number `window` begins in the token file."""
        return window * (len(self._tokens) - 1) // self._n_windows


class DocumentWindows(Dataset[Window]):
    """Windows over whole documents of the validation text that have every token of theirs as a target once.

    Which documents these are depends on their lengths in bytes alone, so they are the same text under every tokenizer.
    An end of text stands before the first; the end of each is a target, of 0 bytes. In the last window the targets
    behind the text are `IGNORED`.
    """

    def __init__(self, tokens: Tokens, token_bytes: NDArray[np.int64], seq_len: int, max_bytes: int) -> None:
        """Choose the documents, spread evenly over the text.

        Args:
            tokens: the validation split, with the end of a text behind each.
            token_bytes: bytes of text of every token, 0 for the end of a text.
            seq_len: tokens a window predicts.
            max_bytes: that the documents hold at most; where none is so short, the shortest one is taken.

        Raises:
            ValueError: the windows have no length.
        """
        if seq_len < 1:
            raise ValueError(f"model.seq_len is {seq_len}: give at least 1")
        tokens = np.asarray(tokens)
        ends = np.flatnonzero(tokens == tokens[-1])
        starts = np.append(0, ends[:-1] + 1)
        lengths = np.add.reduceat(token_bytes[tokens], starts)
        chosen = spread(lengths, max_bytes) or [int(np.argmin(lengths))]
        parts = [tokens[starts[number] : ends[number] + 1] for number in chosen]
        self._stream = np.concatenate([tokens[ends[:1]], *parts])
        self._seq_len = seq_len
        self.n_bytes = int(lengths[chosen].sum())
        self.n_targets = len(self._stream) - 1

    def __len__(self) -> int:
        return -(-(len(self._stream) - 1) // self._seq_len)

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        position = index * self._seq_len
        known = min(self._seq_len, len(self._stream) - 1 - position)
        window = np.full(self._seq_len + 1, self._stream[0], self._stream.dtype)
        window[: known + 1] = self._stream[position : position + known + 1]
        inputs, targets = _window(window, 0, self._seq_len)
        targets = targets.clone()  # the two share their memory
        targets[known:] = IGNORED
        return inputs, targets


def spread(lengths: NDArray[np.int64], limit: int) -> list[int]:
    """Numbers of documents, in their order, that together are no longer than a limit and lie all over the text.

    They are looked at in the order of the fractional parts of their numbers times the golden ratio, and taken where
    they still fit.
    """
    chosen, left = [], limit
    for number in np.argsort(np.arange(len(lengths)) * GOLDEN_RATIO % 1, kind="stable").tolist():
        if lengths[number] <= left:
            chosen.append(number)
            left -= int(lengths[number])
    return sorted(chosen)


def permuted(rank: int, n: int, key: int) -> int:
    """Image of `rank` under a permutation of 0..n-1 that `key` chooses, in constant time and memory.

    A Feistel network on the pair (rank % a, rank // a) with a * b >= n; images from n on are permuted again.
    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", sections 3 and 5.
    """
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)
    image = rank
    while True:
        right, left = divmod(image, a)
        for i in range(0, _ROUNDS, 2):
            left = (left + _mix((key + i) ^ (right << 8))) % a
            right = (right + _mix((key + i + 1) ^ (left << 8))) % b
        image = right * a + left
        if image < n:
            return image


def _mix(value: int) -> int:
    """64 well-mixed bits. Source: splitmix64, Steele et al. 2014."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def _window(tokens: Tokens, position: int, seq_len: int) -> Window:
    """Inputs and the targets one token ahead, as int64."""
    ids = torch.from_numpy(tokens[position : position + seq_len + 1].astype(np.int64))
    return ids[:-1], ids[1:]


def _check_length(tokens: Tokens, seq_len: int, split: str) -> None:
    if seq_len < 1:
        raise ValueError(f"model.seq_len is {seq_len}: give at least 1")
    if len(tokens) <= seq_len:
        raise ValueError(
            f"model.seq_len is {seq_len} but the {split} split has only {len(tokens)} tokens: lower "
            "model.seq_len or take a larger corpus"
        )
