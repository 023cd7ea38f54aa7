"""Multi-head latent attention."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Attention, Causal, take_up
from algoprog.model.interface.part import NoStatistics
from algoprog.model.interface.places import Following, Places
from algoprog.model.interface.roles import Declared, linear, matrix, vector
from algoprog.model.interface.site import Parts, Site, Work
from algoprog.model.rotation import rotary_tables, rotated, stretched_tables

EPS = 1e-6
"""Added to the mean square of a latent, as by DeepSeek-V3."""


class Latents:
    """The latent of keys and values of every position behind, and the turned part of its key; one row a sequence.

    Args:
        batch: sequences.
        capacity: positions that there is room for.
        width: of both together.
        like: decides device and precision.
    """

    def __init__(self, batch: int, capacity: int, width: int, like: Tensor) -> None:
        self.held = like.new_zeros(batch, 1, capacity, width)


class Expansion(nn.Module):
    """Normalises a latent by its root mean square, with a gain, and maps it to heads.

    Args:
        rank: width of the latent.
        rows: of the matrices that read it, which are fused.
    """

    def __init__(self, rank: int, rows: tuple[int, ...]) -> None:
        super().__init__()
        self.rows = rows
        self.gain = nn.Parameter(torch.ones(rank))
        self.weight = nn.Parameter(torch.empty(sum(rows), rank))

    def normed(self, latent: Float[Tensor, "batch new rank"]) -> Float[Tensor, "batch new rank"]:
        """What the matrices read; in the gain's precision, as norms are under mixed precision."""
        return F.rms_norm(latent.to(self.gain.dtype), self.gain.shape, self.gain, EPS)

    def forward(self, latent: Float[Tensor, "batch new rank"]) -> Float[Tensor, "batch new rows"]:
        """What they make of a latent."""
        return F.linear(self.normed(latent), self.weight)


class LatentAttention(NoStatistics, Causal, Attention):
    """Full causal attention whose keys and values are read from one narrow latent a position.

    Every head's query and key have a part of `d_head` features without position, and one that is turned by it, which
    in the keys is the same for all heads; the position has to be kept out of the latent. A state holds the latent and
    the turned part alone. Whole sequences are computed from keys and values written out. Steps take the matrices that
    would make these to the side of the queries, and of what was mixed: keys are the latents themselves, for all heads.

    Args:
        site: where it stands.
        parts: of its layer.
        kv_rank: width of the latent of keys and values over model width; with 0.5 the matrices are as large as those
            of dense attention, but for the turned part of the one key.
        q_rank: width of a latent of the queries over model width; null for queries that are read from the stream.
        rope_width: turned features over those without position, in every head; rounded up to pairs.
        theta: base of the wavelengths of the rotation.

    Raises:
        ValueError: a knob leaves no feature, or is not positive.

    Source: DeepSeek-AI 2024 (DeepSeek-V2, arXiv 2405.04434), section 2.1 and appendix C; `rope_width`: 2.1.3.
    """

    without: ClassVar[Mapping[str, str]] = {
        "pos": "which turns a part of every query and key by itself",
        "qk_norm": "whose keys are read from a latent that is normalised",
    }

    wide: ClassVar[tuple[str, ...]] = ("cos", "sin")

    cos: Tensor
    sin: Tensor

    def __init__(
        self, site: Site, parts: Parts, *, kv_rank: float, q_rank: float | None, rope_width: float, theta: float
    ) -> None:
        super().__init__(site, parts)
        dims = site.dims
        self.n_heads, self.d_head = dims.n_heads, dims.d_head
        for name, value in (("rope_width", rope_width), ("theta", theta)):
            if value <= 0:
                raise ValueError(f"attention=mla: attention.{name}={value} must be above 0")
        self.kv_rank = _rank("kv_rank", kv_rank, dims.d_model)
        self.d_rope = 2 * math.ceil(rope_width * dims.d_head / 2)
        self.q_rows = (dims.d_model, dims.n_heads * self.d_rope)
        of_queries = self.q_rows if q_rank is None else (_rank("q_rank", q_rank, dims.d_model),)
        self.widths = (*of_queries, self.kv_rank, self.d_rope)
        self.qkv = nn.Linear(dims.d_model, sum(self.widths), bias=dims.bias)
        self.q = nn.Identity() if q_rank is None else Expansion(of_queries[0], self.q_rows)
        self.kv = Expansion(self.kv_rank, (dims.d_model, dims.d_model))
        self.out = nn.Linear(dims.d_model, dims.d_model, bias=dims.bias)
        self.dropout = nn.Dropout(dims.dropout)
        self.theta = theta
        for name, table in zip(("cos", "sin"), rotary_tables(self.d_rope, dims.seq_len, theta), strict=True):
            self.register_buffer(name, table, persistent=False)

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream, from keys and values written out."""
        q, q_rope, latent, k_rope = self._projected(x, context.places)
        k, v = (self._heads(part) for part in F.linear(latent, self.kv.weight).split(self.kv.rows, dim=-1))
        k = torch.cat((k, k_rope.unsqueeze(1).expand(-1, self.n_heads, -1, -1)), dim=-1)
        return self._written(self.softmax(torch.cat((q, q_rope), dim=-1), k, v, None, context), x)

    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: Latents
    ) -> Float[Tensor, "batch new d_model"]:
        """The update behind the positions of the state, whose latents are keys and values of every head at once."""
        assert isinstance(context.places, Following)
        q, q_rope, latent, k_rope = self._projected(x, context.places)
        take_up(state.held, torch.cat((latent, k_rope), dim=-1).unsqueeze(1), context.places)
        of_keys, of_values = (part.unflatten(0, (self.n_heads, -1)) for part in self.kv.weight.split(self.kv.rows))
        at = torch.arange(state.held.shape[2], device=x.device).expand(len(x), -1)
        mixed = self.softmax(
            torch.cat((q @ of_keys, q_rope), dim=-1),
            state.held,
            state.held[..., : self.kv_rank],
            self.visible(context.places.index, at).unsqueeze(1),
            context,
            scale=1 / math.sqrt(self.d_head + self.d_rope),
        )
        return self._written(mixed @ of_values.transpose(-1, -2), x)

    def new_state(self, batch: int, capacity: int) -> Latents:
        """Latents of no position."""
        return Latents(batch, capacity, self.kv_rank + self.d_rope, self.out.weight)

    def state_bytes(self, context: int) -> int:
        """A latent and a turned part for each position, whatever the number of heads."""
        return (self.kv_rank + self.d_rope) * context * self.out.weight.element_size()

    def facts(self) -> Mapping[str, float]:
        """The widths that the shares come to, beside the density."""
        return {**super().facts(), "kv_rank": self.kv_rank, "d_rope": self.d_rope}

    def flops(self, work: Work) -> float:
        """Projections, scores and mixing; what is read by steps is compared with latents, which are wider than keys."""
        weights = [self.qkv.weight, self.out.weight, *(each.weight for each in self._expansions)]
        projections = 2 * sum(weight.numel() for weight in weights) * work.tokens
        content = self.d_head if work.mode == "train" else self.kv_rank
        pairs = self.attended_keys(work.context, work.new) * work.batch
        return projections + 2 * self.n_heads * (2 * content + self.d_rope) * pairs

    def parameters_by_role(self) -> Iterable[Declared]:
        """Every matrix, those that read the same fused, and the gains of the latents."""
        yield from linear(self.qkv, fused=self.widths)
        for each in self._expansions:
            yield matrix(each.weight, fused=each.rows)
            yield vector(each.gain)
        yield from linear(self.out)

    def init_weights(self, init: Init) -> None:
        """From streams of their own, in the names of dense attention for what has its shape."""
        of_queries: tuple[str, ...] = ("q", "q_rope")
        if isinstance(self.q, Expansion):
            _fill(init, self.q.weight, self.q_rows, of_queries)
            of_queries = ("q_down",)
        _fill(init, self.qkv.weight, self.widths, (*of_queries, "kv_down", "k_rope"))
        _fill(init, self.kv.weight, self.kv.rows, ("k", "v"))
        init.residual(self.out.weight, "out")
        for layer in (self.qkv, self.out):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    @property
    def _expansions(self) -> list[Expansion]:
        """That of the queries, where they have a latent, and that of keys and values."""
        return [each for each in (self.q, self.kv) if isinstance(each, Expansion)]

    def _projected(self, x: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries without position and turned ones, by head; the normalised latent, and the turned part of the keys."""
        of_queries = sum(self.widths) - self.kv_rank - self.d_rope
        read, latent, k_rope = self.qkv(x).split((of_queries, self.kv_rank, self.d_rope), dim=-1)
        q, q_rope = self.q(read).split(self.q_rows, dim=-1)
        cos, sin = (places.rows(table).unsqueeze(-3) for table in self._tables(places.reach))
        q_rope, k_rope = rotated(self._heads(q_rope), cos, sin), rotated(k_rope.unsqueeze(1), cos, sin)
        return self._heads(q), q_rope, self.kv.normed(latent), k_rope.squeeze(1)

    def _tables(self, reach: int) -> tuple[Tensor, Tensor]:
        """Those of the context; beyond it the series goes on."""
        trained = self.site.dims.seq_len
        if reach <= trained:
            return self.cos, self.sin
        cos, sin = stretched_tables("none", self.d_rope, self.theta, trained, reach)
        return cos.to(self.cos.device), sin.to(self.sin.device)

    def _written(
        self, mixed: Float[Tensor, "batch heads new d_head"], x: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        return self.dropout(self.out(self.output_gate(mixed.transpose(1, 2).flatten(2), x)))

    def _heads(self, x: Float[Tensor, "batch new width"]) -> Float[Tensor, "batch heads new d_head"]:
        """Cut the last dimension into heads and move them before the sequence."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def _rank(knob: str, share: float, d_model: int) -> int:
    """The width of a latent."""
    rank = round(share * d_model)
    if rank < 1:
        raise ValueError(f"attention=mla: attention.{knob}={share} leaves no feature of model.d_model={d_model}")
    return rank


def _fill(init: Init, weight: Tensor, rows: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Fused matrices, from a stream each."""
    for part, name in zip(weight.split(rows), names, strict=True):
        init.normal(part, name)
