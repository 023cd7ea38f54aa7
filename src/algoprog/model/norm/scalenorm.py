"""Normalisation of the length, with one gain for all features."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.init import Init
from algoprog.model.interface.part import Norm
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site


class ScaleNorm(Norm):
    """x / |x| with one learned length, sqrt(width) at first, so that it begins as RMSNorm does.

    Args:
        site: where it stands.
        eps: added to the square of the length.

    Raises:
        ValueError: the knob is out of range.

    Source: Nguyen and Salazar 2019 (arXiv 1910.05895), section 2.2.
    """

    def __init__(self, site: Site, *, eps: float) -> None:
        super().__init__(site)
        if eps < 0:
            raise ValueError(f"eps={eps} of norm=scalenorm must be at least 0")
        self.eps = eps
        self.length = Parameter(torch.tensor([float(site.width) ** 0.5]))

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Scale the last dimension."""
        return x * (self.length * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + self.eps))

    @property
    def is_identity(self) -> bool:
        """It is not."""
        return False

    def parameters_by_role(self) -> Iterable[Declared]:
        """The learned length."""
        yield vector(self.length)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
