"""Where the positions of a forward pass stand in their sequences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Places(ABC):
    """The positions of a batch."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """Positions that its sequences may come to, by which what is scaled for long ones is chosen."""

    @abstractmethod
    def rows(self, table: Float[Tensor, "positions width"]) -> Float[Tensor, "*batch new width"]:
        """The row of a table that belongs to each position; without a batch where all sequences agree."""


@dataclass(frozen=True)
class FromTheStart(Places):
    """Whole sequences of `length` positions."""

    length: int

    @property
    def reach(self) -> int:
        """Their length."""
        return self.length

    def rows(self, table: Float[Tensor, "positions width"]) -> Float[Tensor, "*batch new width"]:
        """The first rows, as a view."""
        return table[: self.length]


@dataclass(frozen=True, eq=False)
class Following(Places):
    """New positions behind what a state holds, as many as each row of the batch says; the rest is padding.

    Args:
        held: positions that each row has behind it.
        valid: how many of the new positions each row has; at most `new`.
        new: positions computed.
        reach: positions that the state has room for; 0 where they lie within the model's context.
    """

    held: Int[Tensor, " batch"]
    valid: Int[Tensor, " batch"]
    new: int
    reach: int = 0

    @property
    def index(self) -> Int[Tensor, "batch new"]:
        """The position of each in its sequence; padding is counted on."""
        return self.held[:, None] + torch.arange(self.new, device=self.held.device)

    @property
    def is_valid(self) -> Bool[Tensor, "batch new"]:
        """Whether it is a position of the sequence, or padding."""
        return torch.arange(self.new, device=self.held.device) < self.valid[:, None]

    def rows(self, table: Float[Tensor, "positions width"]) -> Float[Tensor, "*batch new width"]:
        """Row by row; padding behind the table's end is given its last."""
        return table[self.index.clamp(max=len(table) - 1)]
