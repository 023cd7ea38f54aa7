"""No sinks: the baseline."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoParameters
from algoprog.model.interface.softmax import Sinks


class NoSinks(NoParameters, Sinks):
    """Weights of a query add up to one.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """

    @property
    def logits(self) -> Float[Tensor, " heads"] | None:
        """None."""
        return None
