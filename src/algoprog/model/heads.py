"""Projections and output of multi-head attention, shared by the options that differ in heads or pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Attention, Causal, KeyValues
from algoprog.model.interface.part import Norm, NoStatistics
from algoprog.model.interface.places import Following
from algoprog.model.interface.roles import Declared, linear
from algoprog.model.interface.site import Parts, Site, Work


class HeadsAttention(NoStatistics, Causal, Attention):
    """Causal attention with `n_kv_heads` key/value heads shared by equal groups of the query heads.

    Args:
        site: where it stands.
        parts: of its layer.
        n_kv_heads: number of key/value heads, a divisor of `dims.n_heads`.
    """

    has_values: ClassVar[bool] = True

    def __init__(self, site: Site, parts: Parts, n_kv_heads: int) -> None:
        super().__init__(site, parts)
        dims = site.dims
        # Without a bias, which would add the same to all products of a query.
        of_head = Site(replace(dims, bias=False), site.layer, dims.d_head)
        self.q_norm: Norm = parts["qk_norm"](of_head)
        self.k_norm: Norm = parts["qk_norm"](of_head)
        self.n_heads, self.n_kv_heads, self.d_head = dims.n_heads, n_kv_heads, dims.d_head
        self.widths: tuple[int, ...] = (dims.d_model, n_kv_heads * dims.d_head, n_kv_heads * dims.d_head)
        self.qkv = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.out = nn.Linear(dims.d_model, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        q, k, v = self._projected(x, context)
        return self._written(self.attend(q, k, v, context), x)

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: KeyValues
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state, over all keys that it has room for."""
        assert isinstance(context.places, Following)
        q, k, v = self._projected(x, context)
        state.write(k, v, context.places)
        queries, keys = context.places.index, state.positions.expand(len(x), -1)
        mask, bias = self.visible(queries, keys).unsqueeze(1), context.position.bias(queries, keys)
        return self._written(self.mixed(q, state.k, state.v, mask, bias, context), x)

    def attend(
        self,
        q: Float[Tensor, "batch heads seq d_head"],
        k: Float[Tensor, "batch kv_heads seq d_head"],
        v: Float[Tensor, "batch kv_heads seq d_head"],
        context: Context,
    ) -> Float[Tensor, "batch heads seq d_head"]:
        """Mix the values; a pattern other than causal overrides this together with `visible` and `attended_keys`."""
        return self.mixed(q, k, v, None, bias_of_all(q, context), context)

    def mixed(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
        bias: Float[Tensor, "*#batch queries keys"] | None,
        context: Context,
    ) -> Float[Tensor, "batch heads queries d_head"]:
        """The values of all heads, mixed by one softmax; what mixes them otherwise overrides this."""
        return self.softmax(q, k, v, mask, context, bias=bias)

    def new_state(self, batch: int, capacity: int) -> KeyValues:
        """Keys and values of no position."""
        return KeyValues(batch, self.n_kv_heads, capacity, self.d_head, self.d_head, self.out.weight)

    def state_bytes(self, context: int) -> int:
        """A key and a value for each head that has them and each position."""
        return 2 * self.n_kv_heads * self.d_head * context * self.out.weight.element_size()

    def flops(self, work: Work) -> float:
        """Projections, scores and mixing over the keys attended."""
        projections = 2 * (self.qkv.weight.numel() + self.out.weight.numel()) * work.tokens
        pairs = self.attended_keys(work.context, work.new) * work.batch
        return projections + 4 * self.n_heads * self.d_head * pairs

    def parameters_by_role(self) -> Iterable[Declared]:
        """Both projections, of which the first is three."""
        yield from linear(self.qkv, fused=self.widths)
        yield from linear(self.out)

    def init_weights(self, init: Init) -> None:
        """Queries, keys and values from streams of their own, so that options share what they have in common."""
        for weight, name in zip(self.qkv.weight.split(self.widths), ("q", "k", "v"), strict=True):
            init.normal(weight, name)
        init.residual(self.out.weight, "out")
        for layer in (self.qkv, self.out):
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)

    def _projected(self, x: Tensor, context: Context) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normalised by head and turned by their positions, and values."""
        q, k, v = (self._split(part) for part in self.qkv(x).split(self.widths, dim=-1))
        v = context.skip.value(self.site.layer, v, context.carried)
        q, k = context.position.rotate(self.q_norm(q).to(q.dtype), self.k_norm(k).to(k.dtype), context.places)
        return q, k, v

    def _written(
        self, mixed: Float[Tensor, "batch heads new d_head"], x: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        return self.dropout(self.out(self.output_gate(mixed.transpose(1, 2).flatten(2), x)))

    def _split(self, x: Float[Tensor, "batch new width"]) -> Float[Tensor, "batch heads new d_head"]:
        """Cut the last dimension into heads and move them before the sequence."""
        return x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)


def bias_of_all(q: Float[Tensor, "batch heads seq d_head"], context: Context) -> Float[Tensor, "heads seq seq"] | None:
    """What positions add to the products of all queries and keys of whole sequences."""
    at = torch.arange(q.shape[-2], device=q.device)
    return context.position.bias(at, at)
