"""No gate: the baseline."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoFlops, NoParameters
from algoprog.model.interface.softmax import OutputGate


class NoGate(NoParameters, NoFlops, OutputGate):
    """What was mixed, as it is.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.
    """

    def forward(
        self, mixed: Float[Tensor, "batch new d_model"], x: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        """As it is."""
        return mixed
