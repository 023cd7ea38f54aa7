"""Where a part stands, and what work it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from algoprog.model.dims import Dims

Parts = Mapping[str, Callable[..., Any]]
"""By axis, what builds the chosen option from a site; blocks and mixers take the parts of their layer besides."""

Mode = Literal["train", "prefill", "decode"]


@dataclass(frozen=True)
class Site:
    """The place that a part is built for.

    Args:
        dims: sizes of the model.
        layer: number of the layer, from 0; None for what all layers share.
        width: features of the vectors that the part is given.
    """

    dims: Dims
    layer: int | None
    width: int

    @classmethod
    def shared(cls, dims: Dims) -> Site:
        """Outside of the layers, on the residual stream."""
        return cls(dims, None, dims.d_model)

    @classmethod
    def inside(cls, dims: Dims, layer: int) -> Site:
        """In a layer, on the residual stream."""
        return cls(dims, layer, dims.d_model)

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return self.dims.n_layers


@dataclass(frozen=True)
class Work:
    """A forward pass that is to be paid.

    Args:
        mode: training, reading a prompt, or generating.
        batch: sequences.
        new: positions of each sequence that are computed.
        context: positions of each sequence when that is done, the new ones included.
    """

    mode: Mode
    batch: int
    new: int
    context: int

    @classmethod
    def training(cls, seq_len: int) -> Work:
        """One sequence of `seq_len` tokens."""
        return cls("train", 1, seq_len, seq_len)

    @classmethod
    def prefill(cls, prompt: int) -> Work:
        """A prompt of one sequence."""
        return cls("prefill", 1, prompt, prompt)

    @classmethod
    def decode(cls, context: int) -> Work:
        """The token with which one sequence is `context` tokens long."""
        return cls("decode", 1, 1, context)

    @property
    def tokens(self) -> int:
        """Positions that are computed, over all sequences."""
        return self.batch * self.new
