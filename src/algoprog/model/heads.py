"""Projections and output of multi-head attention, shared by the options that differ in heads or pattern."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.init import Init
from algoprog.model.interface import Attention, Kernel, Position, causal_mask


class HeadsAttention(Attention):
    """Causal attention with `n_kv_heads` key/value heads shared by equal groups of the query heads.

    Args:
        dims: sizes of the model.
        n_kv_heads: number of key/value heads, a divisor of `dims.n_heads`.
    """

    def __init__(self, dims: Dims, n_kv_heads: int) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.d_head = dims.n_heads, n_kv_heads, dims.d_head
        self.widths = (dims.d_model, n_kv_heads * dims.d_head, n_kv_heads * dims.d_head)
        self.qkv = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.out = nn.Linear(dims.d_model, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(
        self, x: Float[Tensor, "batch seq d_model"], position: Position, kernel: Kernel
    ) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        q, k, v = (self._split(part) for part in self.qkv(x).split(self.widths, dim=-1))
        q, k = position.rotate(q, k)
        mixed = self.attend(q, k, v, kernel)
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))

    def attend(
        self,
        q: Float[Tensor, "batch heads seq d_head"],
        k: Float[Tensor, "batch kv_heads seq d_head"],
        v: Float[Tensor, "batch kv_heads seq d_head"],
        kernel: Kernel,
    ) -> Float[Tensor, "batch heads seq d_head"]:
        """Mix the values; a pattern other than causal overrides this together with `mask`."""
        return kernel(q, k, v, None)

    def mask(self, seq_len: int, device: torch.device | None = None) -> Bool[Tensor, "seq seq"]:
        """Every position sees itself and all before it."""
        return causal_mask(seq_len, device)

    def attended_keys(self, seq_len: int) -> int:
        """The lower triangle with its diagonal."""
        return seq_len * (seq_len + 1) // 2

    def flops_per_token(self, seq_len: int) -> float:
        """Projections, scores and mixing over the keys attended."""
        projections = 2 * (self.qkv.weight.numel() + self.out.weight.numel())
        return projections + 4 * self.n_heads * self.d_head * self.attended_keys(seq_len) / seq_len

    def decayed(self) -> Iterable[Tensor]:
        """Both projections."""
        return self.qkv.weight, self.out.weight

    def init_weights(self, init: Init) -> None:
        """Queries, keys and values from streams of their own, so that options share what they have in common."""
        for weight, name in zip(self.qkv.weight.split(self.widths), ("q", "k", "v"), strict=True):
            init.normal(weight, name)
        init.residual(self.out.weight, "out")
        for linear in (self.qkv, self.out):
            if linear.bias is not None:
                torch.nn.init.zeros_(linear.bias)

    def _split(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch heads seq d_head"]:
        """Cut the last dimension into heads and move them before the sequence."""
        return x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)
