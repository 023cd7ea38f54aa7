"""No normalisation: the baseline inside the blocks."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoParameters, Norm


class NoNorm(NoParameters, Norm):
    """The identity."""

    @property
    def is_identity(self) -> bool:
        """It is."""
        return True

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """The vectors as they are."""
        return x
