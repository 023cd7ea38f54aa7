"""What attention to summaries, to blocks and to the last positions keeps, and how summaries are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.interface.places import Following
from algoprog.model.selected_blocks import STRIDES

Keys = Float[Tensor, "batch both new d_head"]
"""Keys of every head that has them, then values."""

Held = Float[Tensor, "batch both held d_head"]


@dataclass
class BranchState:
    """What the branches keep of the positions behind; what grows with them are `blocks` and `summary` alone.

    Args:
        blocks: of every position.
        window: of the last positions.
        pending: of those that summaries will be made of which are not complete.
        summary: of complete summaries.
    """

    blocks: Float[Tensor, "batch both capacity d_head"]
    window: Float[Tensor, "batch both last d_head"]
    pending: Float[Tensor, "batch both pending d_head"]
    summary: Float[Tensor, "batch both summaries d_head"]

    def complete(self, new: Keys, summarise: Callable[[Tensor], Tensor], block: int, places: Following) -> None:
        """Take up the summaries that new positions make complete.

        Each row of the batch goes on from where it stands, so that all of them may be made of other positions.
        """
        stride, held = block // STRIDES, self.pending.shape[2]
        before, after = ((n // stride - 1).clamp(min=0) for n in (places.held, places.held + places.valid))
        at = before[:, None] + torch.arange(-(-places.new // stride), device=new.device)
        known, self.pending = followed(self.pending, new, places)
        first = at * stride - places.held[:, None] + held
        rows = (first[..., None] + torch.arange(2 * stride, device=new.device)).clamp(max=known.shape[2] - 1).flatten(1)
        parts = known.gather(2, rows[:, None, :, None].expand(-1, known.shape[1], -1, known.shape[3]))
        made = summarise(parts.unflatten(2, (-1, 2 * stride)))
        row, column = (at < after[:, None]).nonzero(as_tuple=True)
        self.summary.transpose(1, 2)[row, at[row, column]] = made.transpose(1, 2)[row, column].to(self.summary.dtype)


def followed(held: Held, new: Keys, places: Following) -> tuple[Float[Tensor, "batch both known d_head"], Held]:
    """What is held with the new positions behind it, and the last of them that are no padding, to be held."""
    known = torch.cat((held.to(new.dtype), new), dim=2)
    last = (places.valid[:, None] + torch.arange(held.shape[2], device=new.device))[:, None, :, None]
    return known, known.gather(2, last.expand_as(held)).to(held.dtype)


class Summary(nn.Module):
    """down(gelu(up(x + places))): one vector for the keys or the values of some neighbouring positions.

    Args:
        positions: that are summarised.
        width: of each.
        bias: whether the two layers have one.
    """

    def __init__(self, positions: int, width: int, bias: bool) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(positions, width))
        self.up, self.down = nn.Linear(positions * width, width, bias=bias), nn.Linear(width, width, bias=bias)

    def forward(
        self, x: Float[Tensor, "batch heads summaries positions width"]
    ) -> Float[Tensor, "batch heads summaries width"]:
        """Of every group of positions by itself."""
        return self.down(F.gelu(self.up((x + self.places).flatten(-2))))
