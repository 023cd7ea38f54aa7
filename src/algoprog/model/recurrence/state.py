"""What a recurrence keeps of everything behind: as much for any length."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.places import Following


class RecurrentState:
    """Memories of heads, and the last inputs that are still read as they were.

    Args:
        batch: sequences.
        recent: features and positions that are still read.
        memory: heads, and sizes of the memory of each.
        like: decides device and precision; the memory has float32 at least.
    """

    def __init__(self, batch: int, recent: tuple[int, int], memory: tuple[int, int, int], like: Tensor) -> None:
        self.recent = like.new_zeros(batch, *recent)
        self.memory = like.new_zeros(batch, *memory, dtype=torch.promote_types(like.dtype, torch.float32))

    def followed_by(
        self, x: Float[Tensor, "batch new features"], places: Following | None
    ) -> Float[Tensor, "batch features seen"]:
        """The last inputs and the new ones, of which those become the last that are no padding.

        Args:
            x: new inputs.
            places: where they stand; None for whole sequences, whose state nobody reads again.
        """
        features = torch.cat((self.recent.to(x.dtype), x.transpose(1, 2)), dim=2)
        if places is not None:
            at = places.valid[:, None] + torch.arange(self.recent.shape[2], device=x.device)
            last = features.gather(2, at[:, None].expand(-1, features.shape[1], -1))
            self.recent = last.to(self.recent.dtype)
        return features


def chunks(x: Float[Tensor, "batch heads seq width"], size: int) -> Float[Tensor, "batch heads chunks size width"]:
    """Cut the sequence; zeros fill the last chunk, which stand for positions that leave a memory as it is."""
    return F.pad(x, (0, 0, 0, -x.shape[2] % size)).unflatten(2, (-1, size))
