"""Learned absolute positions: the baseline."""

from collections.abc import Iterable
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from algoprog.model.init import Init, empty_embedding
from algoprog.model.interface.part import BiasesNothing, Position, TurnsNothing
from algoprog.model.interface.places import Places
from algoprog.model.interface.roles import Declared, Role, matrix
from algoprog.model.interface.site import Site


class LearnedPosition(TurnsNothing, BiasesNothing, Position):
    """One learned vector a position, added to the token embedding.

    Source: Radford et al. 2018 (GPT), section 4.1.
    """

    bounded_by: ClassVar[str | None] = "pos=learned has vectors for the positions of the trained context alone"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.table = empty_embedding(site.dims.seq_len, site.dims.d_model)

    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """Add the vector of each position."""
        return x + places.rows(self.table.weight)

    def parameters_by_role(self) -> Iterable[Declared]:
        """The table."""
        yield matrix(self.table.weight, role=Role.EMBEDDING)

    def init_weights(self, init: Init) -> None:
        """The table, like any embedding."""
        init.embedding(self.table.weight, "table")
