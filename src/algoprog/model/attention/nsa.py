"""Native sparse attention: to summaries of blocks, to chosen blocks, and to the last positions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from algoprog.model.branches import BranchState, Summary, followed
from algoprog.model.heads import HeadsAttention
from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import take_up
from algoprog.model.interface.places import Following
from algoprog.model.interface.reports import Statistic
from algoprog.model.interface.roles import Declared, linear, vector
from algoprog.model.interface.site import Parts, Site, Work
from algoprog.model.selected_blocks import STRIDES, chosen, importance, last_positions, summaries, summarised

BRANCHES = ("summary", "block", "window")
"""What a query looks at; each has keys and values of its own."""

SELECTED, REACHED = "selected_blocks", "reached_positions"
"""Names of the statistics: shares of the blocks up to a query's own that it looks into, and of the positions up to its
own that it looks at one by one, in a chosen block or in the window. Both are 1 where everything is selected."""

Heads = Float[Tensor, "batch heads new d_head"]
Keys = Float[Tensor, "batch both positions d_head"]
"""Keys of every head that has them, then values."""

Summaries = Float[Tensor, "batch both summaries d_head"]
Queries = Int[Tensor, "*#batch new"]
Places = Int[Tensor, "*#batch positions"]


class NativeSparseAttention(HeadsAttention):
    """Three attentions, each with keys and values of its own, weighed by gates that every head reads from its input.

    The first looks at summaries of all positions so far, a vector for half a block at every quarter, and knows no other
    position than those within it. The second looks into `n_blocks` blocks, which the heads of a group choose together
    by what they attend to in the first; no gradient goes through the choice. The third sees the last positions. The
    first is written out under every kernel, because its weights are needed.

    `attention_density` counts what is multiplied, keys of all three branches over those of dense attention.

    Args:
        site: where it stands.
        parts: of its layer.
        group_size: query heads that share keys, values and the choice of blocks.
        block: positions of a block, a multiple of 4; below 1 a share of the model's context, rounded up to one.
        n_blocks: blocks that a query looks into: its own, the first, the one before its own, and chosen ones.
        window: positions that the third sees, its own among them, two at least; below 1 a share of the model's context.

    Raises:
        ValueError: a knob is out of range.

    Source: Yuan et al. 2025 (arXiv 2502.11089), section 3; keys of summaries are not turned by their position.
    """

    sparse = True

    without: ClassVar[Mapping[str, str]] = {"sinks": "whose gates let a head attend to nothing"}

    def __init__(
        self, site: Site, parts: Parts, *, group_size: int, block: int | float, n_blocks: int, window: int | float
    ) -> None:
        dims = site.dims
        if group_size < 1 or dims.n_heads % group_size:
            raise ValueError(
                f"attention=nsa: attention.group_size={group_size} does not divide model.n_heads={dims.n_heads}"
            )
        super().__init__(site, parts, dims.n_heads // group_size)
        if n_blocks < 1:
            raise ValueError(f"attention=nsa: attention.n_blocks={n_blocks} must be at least 1")
        self.block, self.n_blocks = _positions("block", block, dims.seq_len, STRIDES), n_blocks
        self.window = max(2, _positions("window", window, dims.seq_len, 1))  # keys of one position alone mean nothing
        of_keys = self.n_kv_heads * dims.d_head
        self.widths = (dims.d_model, *(of_keys,) * (2 * len(BRANCHES)))
        self.qkv = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.k_summary, self.v_summary = (Summary(self.block // 2, dims.d_head, dims.bias) for _ in range(2))
        self.gates = nn.Linear(dims.d_model, len(BRANCHES) * dims.n_heads, bias=dims.bias)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        q, turned, (of_summary, blocks, window) = self._branches(x, context)
        at = torch.arange(x.shape[1], device=x.device)
        mixed, reached = self._from_blocks(
            *(q, turned), self._summaries(summarised(of_summary, self.block)), blocks, at, context
        )
        seen = self._in_window(at, at)
        context.report(self, REACHED, (reached | seen).sum() / (reached[..., 0].numel() * (len(at) + 1) / 2))
        return self._gated(x, *mixed, self._from_window(turned, window, at, at, context))

    def step(  # type: ignore[override]  # of a state of its own
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: BranchState
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for positions behind those of the state."""
        assert isinstance(context.places, Following)
        if not context.places.new:
            return x  # of no position
        places = context.places
        q, turned, (of_summary, blocks, window) = self._branches(x, context)
        take_up(state.blocks, blocks, places)
        state.complete(of_summary, self._summaries, self.block, places)
        mixed, _ = self._from_blocks(q, turned, state.summary, state.blocks, places.index, context)
        held = state.window.shape[2]
        window, state.window = followed(state.window, window, places)
        at = places.held[:, None] + torch.arange(-held, places.new, device=x.device)
        return self._gated(x, *mixed, self._from_window(turned, window, places.index, at, context))

    def new_state(self, batch: int, capacity: int) -> BranchState:  # type: ignore[override]
        """Keys and values of no position."""

        def room(positions: int) -> Tensor:
            return self.out.weight.new_zeros(batch, 2 * self.n_kv_heads, positions, self.d_head)

        n_summaries = summaries(capacity, self.block)
        last, pending = min(self.window - 1, capacity), self.block // 2 - 1
        return BranchState(room(capacity), room(last), room(pending), room(n_summaries))

    def state_bytes(self, context: int) -> int:
        """A key and a value for every position, every summary, and the last positions of window and summaries."""
        held = context + min(self.window - 1, context) + self.block // 2 - 1 + summaries(context, self.block)
        return 2 * self.n_kv_heads * self.d_head * held * self.out.weight.element_size()

    def pairs(self, context: int, new: int) -> int:
        """Queries and keys that are multiplied by each other, of the last `new` positions of one sequence."""
        return sum(self._keys(at) for at in range(context - new, context))

    def facts(self) -> Mapping[str, float]:
        """What is multiplied over what dense attention multiplies, and the sizes that shares come to."""
        seq_len = self.site.dims.seq_len
        density = self.pairs(seq_len, seq_len) / self.attended_keys(seq_len, seq_len)
        return {**super().facts(), "attention_density": density, "nsa_block": self.block, "nsa_window": self.window}

    def statistics(self) -> Mapping[str, Statistic]:
        """How much of the past is selected, and reached."""
        return {name: _share(name) for name in (SELECTED, REACHED)}

    def flops(self, work: Work) -> float:
        """Projections and gates, summaries that become complete, scores and mixing of the three branches."""
        weights = sum(layer.weight.numel() for layer in (self.qkv, self.gates, self.out))
        new = summaries(work.context, self.block) - summaries(work.context - work.new, self.block)
        layers = (self.k_summary.up, self.k_summary.down, self.v_summary.up, self.v_summary.down)
        summarising = 2 * self.n_kv_heads * sum(layer.weight.numel() for layer in layers) * new * work.batch
        pairs = self.pairs(work.context, work.new) * work.batch
        return 2 * weights * work.tokens + summarising + 4 * self.n_heads * self.d_head * pairs

    def parameters_by_role(self) -> Iterable[Declared]:
        """The projections, of which the first is seven, the gates, and what makes summaries."""
        yield from super().parameters_by_role()
        yield from linear(self.gates, fused=(self.n_heads,) * len(BRANCHES))
        for each in (self.k_summary, self.v_summary):
            yield vector(each.places)
            yield from linear(each.up)
            yield from linear(each.down)

    def init_weights(self, init: Init) -> None:
        """Queries as those of dense attention; summaries as in torch, so that keys and values come through."""
        names = ("q", *(f"{kind}_{branch}" for kind in "kv" for branch in BRANCHES))
        for weight, name in zip(self.qkv.weight.split(self.widths), names, strict=True):
            init.normal(weight, name)
        init.normal(self.gates.weight, "gates")
        init.residual(self.out.weight, "out")
        for kind, each in (("k", self.k_summary), ("v", self.v_summary)):
            for name, layer in (("up", each.up), ("down", each.down)):
                init.uniform(layer.weight, f"{kind}_summary.{name}", 1 / math.sqrt(layer.in_features))
        for own in (self.qkv, self.gates, self.out, *self.k_summary.children(), *self.v_summary.children()):
            if isinstance(own, nn.Linear) and own.bias is not None:
                nn.init.zeros_(own.bias)

    def _branches(self, x: Tensor, context: Context) -> tuple[Heads, Heads, list[Tensor]]:
        """Queries without and with their position, and keys beside values of every branch, one below the other."""
        of_all = sum(self.widths[1:]) // 2
        q, k, v = (self._split(part) for part in self.qkv(x).split((self.widths[0], of_all, of_all), dim=-1))
        v = context.skip.value(self.site.layer, v, context.carried)
        q, k = self.q_norm(q).to(q.dtype), self.k_norm(k).to(k.dtype)
        turned, k_turned = context.position.rotate(q, k, context.places)
        keys = (k.chunk(3, dim=1)[0], *k_turned.chunk(3, dim=1)[1:])
        return q, turned, [torch.cat(both, dim=1) for both in zip(keys, v.chunk(3, dim=1), strict=True)]

    def _summaries(self, x: Float[Tensor, "batch both summaries positions d_head"]) -> Summaries:
        """Keys, then values, of groups of positions."""
        k, v = x.chunk(2, dim=1)
        return torch.cat((self.k_summary(k), self.v_summary(v)), dim=1)

    def _from_blocks(
        self, q: Heads, turned: Heads, summary: Summaries, blocks: Keys, at: Queries, context: Context
    ) -> tuple[tuple[Heads, Heads], Bool[Tensor, "batch kv_heads new positions"]]:
        """What the first two branches give, and which positions the second looks at."""
        n_blocks = -(-blocks.shape[2] // self.block)
        first, weights = self._from_summaries(q, summary, at)
        into = chosen(importance(weights.mean(dim=2), n_blocks), at.unsqueeze(-2), self.block, self.n_blocks)
        share = into.sum() / (into[..., 0].numel() / at.numel() * (at // self.block + 1).sum())
        context.report(self, SELECTED, share)
        places = torch.arange(blocks.shape[2], device=q.device).expand(*at.shape[:-1], -1)
        seen = into.repeat_interleave(self.block, dim=-1)[..., : blocks.shape[2]]
        seen = seen & self.visible(at, places).unsqueeze(-3)
        k, v = blocks.chunk(2, dim=1)
        bias = context.position.bias(at, places)
        second = self.softmax(
            *(self._groups(turned), k.flatten(0, 1).unsqueeze(1), v.flatten(0, 1).unsqueeze(1)),
            seen.flatten(0, 1).unsqueeze(1),
            context,
            bias=None if bias is None else self._groups(bias.expand(len(q), -1, -1, -1)),
        )
        return (first, second.unflatten(0, (len(q), -1)).flatten(1, 2)), seen

    def _from_summaries(
        self, q: Heads, summary: Summaries, at: Queries
    ) -> tuple[Heads, Float[Tensor, "batch kv_heads group new summaries"]]:
        """What the first branch gives, and its weights; of a query that sees no summary all are zero."""
        k, v = (part.unsqueeze(2) for part in summary.chunk(2, dim=1))
        scale = self.sharpness / math.sqrt(self.d_head)
        scores = q.unflatten(1, (self.n_kv_heads, -1)) @ k.transpose(-1, -2) * scale
        if self.softcap.cap is not None:
            scores = self.softcap.cap * torch.tanh(scores / self.softcap.cap)
        hidden = last_positions(k.shape[-2], self.block, q.device) > at.unsqueeze(-1)
        hidden = hidden[..., None, None, :, :]
        weights = F.softmax(scores.masked_fill(hidden, torch.finfo(scores.dtype).min), dim=-1).masked_fill(hidden, 0.0)
        dropped = F.dropout(weights, self.dropout.p, self.training)
        return (dropped.to(v.dtype) @ v).flatten(1, 2), weights.detach()

    def _from_window(self, turned: Heads, window: Keys, at: Queries, places: Places, context: Context) -> Heads:
        """What the third branch gives."""
        k, v = window.chunk(2, dim=1)
        mask = self._in_window(at, places)
        bias = context.position.bias(at, places)
        return self.softmax(turned, k, v, mask.unsqueeze(-3) if mask.ndim == 3 else mask, context, bias=bias)

    def _in_window(self, queries: Queries, keys: Places) -> Bool[Tensor, "*#batch new positions"]:
        """The last positions; a key before the first position is none."""
        key = keys.unsqueeze(-2)
        distance = queries.unsqueeze(-1) - key
        return (distance >= 0) & (distance < self.window) & (key >= 0)

    def _gated(self, x: Float[Tensor, "batch new d_model"], *mixed: Heads) -> Float[Tensor, "batch new d_model"]:
        """The three, weighed by head, to the residual stream."""
        gates = self.gates(x).sigmoid().transpose(1, 2).unsqueeze(-1).chunk(3, dim=1)
        return self._written(sum(gate * each for gate, each in zip(gates, mixed, strict=True)), x)

    def _groups(self, x: Float[Tensor, "batch heads new width"]) -> Float[Tensor, "rows group new width"]:
        """Heads that choose together, as sequences of their own."""
        return x.unflatten(1, (self.n_kv_heads, -1)).flatten(0, 1)

    def _keys(self, at: int) -> int:
        """Keys of all branches that the query at a position is multiplied by."""
        own, within = divmod(at, self.block)
        into = within + 1 + self.block * min(self.n_blocks - 1, own)
        return summaries(at + 1, self.block) + into + min(at + 1, self.window)


def _positions(knob: str, length: float, seq_len: int, whole: int) -> int:
    """A number of positions that `whole` divides, or a share of the context, rounded up to such a number."""
    if 0 < length < 1:
        return whole * math.ceil(length * seq_len / whole)
    if length < 1 or length % whole:
        raise ValueError(
            f"attention=nsa: attention.{knob}={length} must be a multiple of {whole} positions, or a share above 0 and"
            " below 1 of the context"
        )
    return int(length)


def _share(name: str) -> Statistic:
    """A number as it is."""
    return Statistic((), "mean", lambda share: {name: float(share)})
