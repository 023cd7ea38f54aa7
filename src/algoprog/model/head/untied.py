"""An output matrix of its own."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import linear

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, Role, matrix
from algoprog.model.interface.site import Site, Work
from algoprog.model.interface.wiring import Head


class UntiedHead(Head):
    """The score of a token is the product with a vector that is not its embedding; begins like an embedding.

    Budgets in tokens per parameter leave it out as they leave out embeddings, so that both heads train as long.

    Args:
        site: of the whole model.

    Source: Bengio et al. 2003, "A neural probabilistic language model", section 2; Touvron et al. 2023 (LLaMA).
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.weight = Parameter(torch.empty(site.dims.vocab_size, site.dims.d_model))

    def forward(
        self, x: Float[Tensor, "batch seq d_model"], table: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token."""
        return linear(x, self.weight)

    def flops(self, work: Work) -> float:
        """One matrix."""
        return 2 * self.weight.numel() * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The matrix."""
        yield matrix(self.weight, role=Role.HEAD)

    def init_weights(self, init: Init) -> None:
        """The matrix, from one stream."""
        init.output(self.weight, "weight")
