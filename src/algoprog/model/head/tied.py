"""The output matrix is the table of the embedding: the baseline."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from algoprog.model.interface.part import NoParameters
from algoprog.model.interface.site import Work
from algoprog.model.interface.wiring import Head


class TiedHead(NoParameters, Head):
    """The score of a token is the product with its embedding.

    Source: Press and Wolf 2016 (arXiv 1608.05859).
    """

    def forward(
        self, x: Float[Tensor, "batch seq d_model"], table: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token."""
        return linear(x, table)

    def flops(self, work: Work) -> float:
        """One matrix, which the embedding holds."""
        return 2 * self.site.dims.vocab_size * self.site.dims.d_model * work.tokens
