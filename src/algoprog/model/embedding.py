"""Token embedding and, tied to it, the output head."""

from __future__ import annotations

from collections.abc import Iterable

from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.init import Init, empty_embedding
from algoprog.model.interface.part import NoFacts, NoStatistics, Part
from algoprog.model.interface.roles import Declared, Role, matrix
from algoprog.model.interface.site import Site, Work


class Embedding(NoFacts, NoStatistics, Part):
    """One table for both ends of a model.

    Source: Press and Wolf 2016 (arXiv 1608.05859).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.table = empty_embedding(site.dims.vocab_size, site.dims.d_model)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The vector of each token."""
        return self.table(tokens)

    def logits(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq vocab"]:
        """The score of each token as the next one."""
        return nn.functional.linear(x, self.table.weight)

    def flops(self, work: Work) -> float:
        """The head; the look-up is free."""
        return 2 * self.table.weight.numel() * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The table."""
        yield matrix(self.table.weight, role=Role.EMBEDDING)

    def init_weights(self, init: Init) -> None:
        """The table, from one stream."""
        init.normal(self.table.weight, "table")
