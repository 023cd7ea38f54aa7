"""What the layers of a model are made of: mixers of positions, and MLPs."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from algoprog.model.interface.context import Context
from algoprog.model.interface.part import Part
from algoprog.model.interface.places import Following
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.softmax import OutputGate, Sinks, Softcap


class Mixer(Part):
    """Mixes information between positions, forwards in time."""

    has_values: ClassVar[bool] = False
    """Whether it mixes values of heads, one a position, that skips may change."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream, for whole sequences."""

    @abstractmethod
    def new_state(self, batch: int, capacity: int) -> Any:
        """What it keeps of the positions behind it: nothing yet, with room for `capacity` positions a row."""

    @abstractmethod
    def step(
        self, x: Float[Tensor, "batch new d_model"], context: Context, state: Any
    ) -> Float[Tensor, "batch new d_model"]:
        """The update for one or more new positions behind those of the state, which takes them up.

        `context.places` says how many each row holds and has new; what is returned for padding means nothing. A state
        that was filled by steps of any length gives what `forward` gives for the whole.
        """

    @abstractmethod
    def state_bytes(self, context: int) -> int:
        """Bytes of the state of one sequence with room for `context` positions."""


class Attention(Mixer):
    """Looks at chosen positions.

    Args:
        site: where it stands.
        parts: of its layer: what changes its softmax, and what it makes of it.
    """

    sparse = False
    """Whether the option is meant to leave keys out, to be compared with the density that was measured."""

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.sharpness = 1.0  # factor of the scale of products, which the rule of initial weights may set
        self.output_gate: OutputGate = parts["output_gate"](site)
        self.sinks: Sinks = parts["sinks"](site)
        self.softcap: Softcap = parts["softcap"](site)

    def softmax(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_value"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
        context: Context,
        *,
        scale: float | None = None,
        bias: Float[Tensor, "*#batch queries keys"] | None = None,
    ) -> Float[Tensor, "batch heads queries d_value"]:
        """The kernel's, with the sinks and the bound that this layer has."""
        if self.sharpness != 1:
            scale = self.sharpness * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
        return context.kernel(q, k, v, mask, scale=scale, bias=bias, sinks=self.sinks.logits, cap=self.softcap.cap)

    @abstractmethod
    def visible(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Bool[Tensor, "*batch queries keys"]:
        """Whether a query at one position may look at a key at another: what every fast path must agree with."""

    @abstractmethod
    def attended_keys(self, context: int, new: int) -> int:
        """(query, key) pairs of the last `new` positions of one sequence: as many as `mask` holds in these rows."""

    def mask(self, seq_len: int, device: torch.device | None = None) -> Bool[Tensor, "seq seq"]:
        """Who may look at whom (row: query, column: key)."""
        at = torch.arange(seq_len, device=device)
        return self.visible(at, at)

    def density(self, seq_len: int) -> float:
        """Attended keys over causal keys; 1 for full causal attention."""
        return self.attended_keys(seq_len, seq_len) / (seq_len * (seq_len + 1) / 2)

    def facts(self) -> Mapping[str, float]:
        """The density at the model's context."""
        return {"attention_density": self.density(self.site.dims.seq_len)}


class Causal:
    """For attention to every position up to the query's own."""

    def visible(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Bool[Tensor, "*batch queries keys"]:
        """Every position sees itself and all before it."""
        return keys.unsqueeze(-2) <= queries.unsqueeze(-1)

    def attended_keys(self, context: int, new: int) -> int:
        """The lower rows of the lower triangle with its diagonal."""
        before = context - new
        return (context * (context + 1) - before * (before + 1)) // 2


class Mlp(Part):
    """Transforms every position by itself."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""


class KeyValues:
    """The keys and values of the positions behind, one row a sequence.

    Args:
        batch: sequences.
        n_heads: heads that have keys and values.
        capacity: positions that there is room for.
        d_key: width of a key.
        d_value: width of a value.
        like: decides device and precision.
    """

    def __init__(self, batch: int, n_heads: int, capacity: int, d_key: int, d_value: int, like: Tensor) -> None:
        self.k = like.new_zeros(batch, n_heads, capacity, d_key)
        self.v = like.new_zeros(batch, n_heads, capacity, d_value)

    @property
    def positions(self) -> Int[Tensor, " capacity"]:
        """Where each key stands; those that no position has reached yet stand behind all queries."""
        return torch.arange(self.k.shape[2], device=self.k.device)

    def write(
        self, k: Float[Tensor, "batch heads new d_key"], v: Float[Tensor, "batch heads new d_value"], places: Following
    ) -> None:
        """Take up what is no padding."""
        take_up(self.k, k, places)
        take_up(self.v, v, places)


def take_up(
    held: Float[Tensor, "batch heads capacity width"], new: Float[Tensor, "batch heads new width"], places: Following
) -> None:
    """Write what is no padding into what is held of every position."""
    row, column = places.is_valid.nonzero(as_tuple=True)
    at = places.index[row, column]
    held.transpose(1, 2)[row, at] = new.transpose(1, 2)[row, column].to(held.dtype)


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Bool[Tensor, "queries keys"]:
    """True where a query sees a key: the last query sees all, the one before all but the last, and so on."""
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def hidden(mask: Bool[Tensor, "*#batch queries keys"], dtype: torch.dtype) -> Float[Tensor, "*#batch queries keys"]:
    """What is added to scores so that a query sees the keys of its mask alone: zero there, minus infinity elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -math.inf)
