"""Contracts of the parts of a GPT.

Convention of every `flops_per_token`: forward pass only, two FLOPs a multiply-add, matrix products only (norms,
activations, softmax and embedding look-ups are not counted), averaged over the tokens of one sequence.
Source: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from algoprog.model.init import Init


class Part(nn.Module, ABC):
    """A piece of the model that knows its cost, its initial weights and what may be decayed."""

    def flops_per_token(self, seq_len: int) -> float:
        """Forward FLOPs per token of a sequence of `seq_len` tokens."""
        return 0.0

    def decayed(self) -> Iterable[Tensor]:
        """The parameters under weight decay: matrices; never biases and gains."""
        return ()

    def init_weights(self, init: Init) -> None:
        """Fill the parameters; biases, gains and other constants are set by the constructor."""
        return


class Norm(Part):
    """Normalises the residual stream on its way into a sublayer."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Same shape out as in."""


class Position(Part):
    """Where a token stands. Both hooks are the identity unless an option says otherwise."""

    def embed(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Add positions to the token embeddings."""
        return x

    def rotate(
        self, q: Float[Tensor, "batch heads seq d_head"], k: Float[Tensor, "batch kv_heads seq d_head"]
    ) -> tuple[Float[Tensor, "batch heads seq d_head"], Float[Tensor, "batch kv_heads seq d_head"]]:
        """Turn queries and keys so that their product depends on the distance between them."""
        return q, k


class Kernel(Part):
    """Computes softmax(q k^T / sqrt(d_head)) v: how, never what. Every kernel gives the same result."""

    @abstractmethod
    def forward(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
    ) -> Float[Tensor, "batch heads queries d_head"]:
        """Attend; `mask` is True where a query may look, None means causal. `kv_heads` divides `heads`."""


class Attention(Part):
    """Mixes information between positions."""

    sparse = False
    """Whether the option is meant to leave keys out, to be compared with the density that was measured."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "batch seq d_model"], position: Position, kernel: Kernel
    ) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""

    @abstractmethod
    def mask(self, seq_len: int, device: torch.device | None = None) -> Bool[Tensor, "seq seq"]:
        """Who may look at whom (row: query, column: key): the definition that every fast path must agree with."""

    def density(self, seq_len: int) -> float:
        """Attended keys over causal keys; 1 for full causal attention."""
        return self.attended_keys(seq_len) / (seq_len * (seq_len + 1) / 2)

    @abstractmethod
    def attended_keys(self, seq_len: int) -> int:
        """Number of (query, key) pairs attended in one sequence: as many as `mask` holds."""


class Mlp(Part):
    """Transforms every position by itself."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""


def causal_mask(seq_len: int, device: torch.device | None = None) -> Bool[Tensor, "seq seq"]:
    """True on and below the diagonal."""
    return torch.ones(seq_len, seq_len, dtype=torch.bool, device=device).tril()
