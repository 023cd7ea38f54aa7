"""Root-mean-square normalisation."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.init import Init
from algoprog.model.interface.part import Norm
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site


class RMSNorm(Norm):
    """Unit mean square over the features, then a gain.

    Args:
        site: where it stands.
        eps: added to the mean square.

    Raises:
        ValueError: `eps` is negative.

    Source: Zhang and Sennrich 2019 (arXiv 1910.07467).
    """

    def __init__(self, site: Site, *, eps: float) -> None:
        super().__init__(site)
        if eps < 0:
            raise ValueError(f"eps={eps} of norm=rmsnorm must be at least 0")
        self.eps = eps
        self.gain = Parameter(torch.ones(site.width))

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Normalise the last dimension."""
        return F.rms_norm(x, self.gain.shape, self.gain, self.eps)

    @property
    def is_identity(self) -> bool:
        """It is not."""
        return False

    def parameters_by_role(self) -> Iterable[Declared]:
        """The gain."""
        yield vector(self.gain)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
