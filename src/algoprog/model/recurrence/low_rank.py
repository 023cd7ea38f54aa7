"""Two narrow matrices in the place of a whole one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Stream = Float[Tensor, "batch new width"]


class LowRank(nn.Module):
    """up(activation(down(x))), plus an offset of every feature.

    Args:
        width: of what it is given and gives.
        rank: between the two matrices.
        activation: between the two matrices.
        offset: how it begins; None for none.
    """

    def __init__(
        self, width: int, rank: int, activation: Callable[[Tensor], Tensor], offset: Float[Tensor, " width"] | None
    ) -> None:
        super().__init__()
        self.activation = activation
        self.down, self.up = nn.Parameter(torch.empty(rank, width)), nn.Parameter(torch.empty(width, rank))
        self.offset = None if offset is None else nn.Parameter(offset)

    def forward(self, x: Stream) -> Stream:
        """Of every position by itself."""
        up = F.linear(self.activation(F.linear(x, self.down)), self.up)
        return up if self.offset is None else up + self.offset
