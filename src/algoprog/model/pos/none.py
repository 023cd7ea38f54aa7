"""No positions: the order is known only through the causal mask."""

from algoprog.model.dims import Dims
from algoprog.model.interface import Position


class NoPosition(Position):
    """Both hooks stay the identity.

    Source: Haviv et al. 2022 (arXiv 2203.16634).
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__()
