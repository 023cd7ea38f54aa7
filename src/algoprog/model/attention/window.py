"""Attention to the last positions, with full attention in every few layers."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from algoprog.model.heads import HeadsAttention, bias_of_all
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import KeyValues
from algoprog.model.interface.places import Following
from algoprog.model.interface.site import Parts, Site

EVERYTHING = sys.maxsize
"""The window of a layer that sees all positions, however many there are."""


class WindowAttention(HeadsAttention):
    """A query sees the `window` positions up to its own; in every `every`-th layer it sees all.

    Whole sequences are computed block by block, each with its own keys and those of the block before. A state keeps
    the last `window - 1` positions.

    Args:
        site: where it stands.
        parts: of its layer.
        window: positions that a query sees, its own among them; below 1 a share of the model's context.
        every: every how many layers one sees all positions, the last of them; null for none.

    Raises:
        ValueError: a knob is out of range.

    Source: Beltagy et al. 2020 (arXiv 2004.05150), section 3.1; Jiang et al. 2023 (Mistral 7B, arXiv 2310.06825);
        layers in turn: Gemma Team 2024 (arXiv 2408.00118), section 2.
    """

    sparse = True

    def __init__(self, site: Site, parts: Parts, *, window: int | float, every: int | None) -> None:
        super().__init__(site, parts, site.dims.n_heads)
        if window <= 0 or (window >= 1 and window != int(window)):
            raise ValueError(
                f"attention=window: attention.window={window} must be a number of positions, or a share above 0 and"
                " below 1 of the context"
            )
        if every is not None and every < 1:
            raise ValueError(f"attention=window: attention.every={every} must be null or at least 1")
        assert site.layer is not None
        seq_len = site.dims.seq_len
        everywhere = every is not None and (site.layer + 1) % every == 0
        length = math.ceil(window * seq_len) if window < 1 else int(window)
        self.window = EVERYTHING if everywhere else length

    def visible(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Bool[Tensor, "*batch queries keys"]:
        """The last positions; a key before the first position is none."""
        key = keys.unsqueeze(-2)
        distance = queries.unsqueeze(-1) - key
        return (distance >= 0) & (distance < self.window) & (key >= 0)

    def attended_keys(self, context: int, new: int) -> int:
        """As many as its position's number, up to the window."""
        return _triangle(context, self.window) - _triangle(context - new, self.window)

    def facts(self) -> Mapping[str, float]:
        """The density of this layer beside the mean of all."""
        told = super().facts()
        return {**told, f"attention_density_{self.site.layer}": told["attention_density"]}

    def attend(
        self,
        q: Float[Tensor, "batch heads seq d_head"],
        k: Float[Tensor, "batch heads seq d_head"],
        v: Float[Tensor, "batch heads seq d_head"],
        context: Context,
    ) -> Float[Tensor, "batch heads seq d_head"]:
        """Mix the values of the last positions: `2 window` keys a query are multiplied, not the sequence."""
        batch, _, seq_len, _ = q.shape
        if seq_len <= self.window:
            return self.mixed(q, k, v, None, bias_of_all(q, context), context)
        n_blocks = math.ceil(seq_len / self.window)
        queries = torch.arange(n_blocks * self.window, device=q.device).unflatten(0, (n_blocks, self.window))
        keys = torch.cat((queries - self.window, queries), dim=1)
        mask, bias = self.visible(queries, keys).unsqueeze(1), context.position.bias(queries, keys)
        mixed = self.mixed(
            self._blocks(q, 0),
            torch.cat((self._blocks(k, 1), self._blocks(k, 0)), dim=2),
            torch.cat((self._blocks(v, 1), self._blocks(v, 0)), dim=2),
            mask.repeat(batch, 1, 1, 1),
            None if bias is None else bias.repeat(batch, 1, 1, 1),
            context,
        )
        return mixed.unflatten(0, (batch, n_blocks)).transpose(1, 2).flatten(2, 3)[:, :, :seq_len]

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: KeyValues
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state, over its keys and the new ones."""
        assert isinstance(context.places, Following)
        q, k, v = self._projected(x, context)
        held, places = state.k.shape[2], context.places
        k, v = torch.cat((state.k, k), dim=2), torch.cat((state.v, v), dim=2)
        queries, keys = places.index, places.held[:, None] + torch.arange(-held, places.new, device=x.device)
        mask, bias = self.visible(queries, keys).unsqueeze(1), context.position.bias(queries, keys)
        last = (places.valid[:, None] + torch.arange(held, device=x.device))[:, None, :, None]
        state.k, state.v = (kept.gather(2, last.expand_as(old)) for kept, old in ((k, state.k), (v, state.v)))
        return self._written(self.mixed(q, k, v, mask, bias, context), x)

    def new_state(self, batch: int, capacity: int) -> KeyValues:
        """Keys and values of no position, with room for those that a later one sees."""
        return super().new_state(batch, self._held(capacity))

    def state_bytes(self, context: int) -> int:
        """A key and a value for each head and each position of a window but the last."""
        return super().state_bytes(self._held(context))

    def _held(self, positions: int) -> int:
        """Of so many positions, those that a later one sees: the last of a window, or of all, is seen by none."""
        return min(self.window - 1, positions) if self.window < EVERYTHING else max(0, positions - 1)

    def _blocks(
        self, x: Float[Tensor, "batch heads seq d_head"], before: int
    ) -> Float[Tensor, "rows heads window d_head"]:
        """The sequence in blocks as long as the window, or what stands `before` blocks ahead of each."""
        ahead, behind = before * self.window, -x.shape[2] % self.window
        x = F.pad(x[:, :, : x.shape[2] + behind - ahead], (0, 0, ahead, behind if not before else 0))
        return x.unflatten(2, (-1, self.window)).transpose(1, 2).flatten(0, 1)


def _triangle(n: int, window: int) -> int:
    """Pairs among the first n positions."""
    full = min(n, window)
    return full * (full + 1) // 2 + (n - full) * window
