"""Token embedding."""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float, Int
from torch import Tensor

from algoprog.model.init import Init, empty_embedding
from algoprog.model.interface.part import NoFacts, NoFlops, NoStatistics, Part
from algoprog.model.interface.roles import Declared, Role, matrix
from algoprog.model.interface.site import Site


class Embedding(NoFlops, NoFacts, NoStatistics, Part):
    """A vector for every token; the look-up is free."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.table = empty_embedding(site.dims.vocab_size, site.dims.d_model)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The vector of each token."""
        return self.table(tokens)

    def parameters_by_role(self) -> Iterable[Declared]:
        """The table."""
        yield matrix(self.table.weight, role=Role.EMBEDDING)

    def init_weights(self, init: Init) -> None:
        """The table, from one stream."""
        init.embedding(self.table.weight, "table")
