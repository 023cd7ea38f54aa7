"""Initial weights from one random stream a parameter."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STD = 0.02
"""Standard deviation of every weight matrix and embedding (GPT-2)."""


@dataclass(frozen=True)
class Init:
    """Fills parameters from generators keyed by (seed, name).

    Because no stream is shared, swapping one part leaves the initial weights of every other part bit-identical, and
    variants of a seed are compared with common random numbers.
    """

    seed: int
    n_layers: int
    prefix: str = ""

    def child(self, name: str) -> Init:
        """The streams of what lies inside a part, by a longer name."""
        return Init(self.seed, self.n_layers, f"{self.prefix}{name}.")

    def normal(self, weight: Tensor, name: str, std: float = STD) -> None:
        """Fill in place from N(0, std^2), by default N(0, 0.02^2)."""
        self._fill(weight, name, lambda values, generator: values.normal_(0.0, std, generator=generator))

    def residual(self, weight: Tensor, name: str) -> None:
        """Fill in place from N(0, 0.02^2 / (2 n_layers)): for matrices that write the residual stream.

        Source: GPT-2 (Radford et al. 2019, section 2.3).
        """
        std = STD / math.sqrt(2 * self.n_layers)
        self._fill(weight, name, lambda values, generator: values.normal_(0.0, std, generator=generator))

    def uniform(self, weight: Tensor, name: str, bound: float) -> None:
        """Fill in place from U(-bound, bound)."""
        self.between(weight, name, -bound, bound)

    def between(self, weight: Tensor, name: str, low: float, high: float) -> None:
        """Fill in place from U(low, high)."""
        self._fill(weight, name, lambda values, generator: values.uniform_(low, high, generator=generator))

    def _fill(self, weight: Tensor, name: str, draw: Callable[[Tensor, torch.Generator], Tensor]) -> None:
        if weight.is_meta:
            return
        digest = hashlib.sha256(f"{self.seed}/{self.prefix}{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        with torch.no_grad():  # drawn on the CPU in float32: the same weights on every device
            weight.copy_(draw(torch.empty(weight.shape), generator))


def empty_embedding(n_vectors: int, width: int) -> nn.Embedding:
    """A table whose values `init_weights` sets.

    The constructor of nn.Embedding would draw values too; on the meta device that makes torch import its compiler,
    which takes longer than pricing many models.
    """
    return nn.Embedding.from_pretrained(torch.empty(n_vectors, width), freeze=False)
