"""Learned absolute positions: the baseline."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from algoprog.model.dims import Dims
from algoprog.model.init import Init, empty_embedding
from algoprog.model.interface import Position


class LearnedPosition(Position):
    """One learned vector a position, added to the token embedding.

    Source: Radford et al. 2018 (GPT), section 4.1.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.table = empty_embedding(dims.seq_len, dims.d_model)

    def embed(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Add the vector of each position."""
        return x + self.table.weight[: x.shape[1]]

    def decayed(self) -> Iterable[Tensor]:
        """The table."""
        return (self.table.weight,)

    def init_weights(self, init: Init) -> None:
        """The table, like any embedding."""
        init.normal(self.table.weight, "table")
