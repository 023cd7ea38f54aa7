"""Layer normalisation."""

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


class LayerNorm(Norm):
    """Zero mean and unit variance over the features, then a gain and (where the model has biases) a bias.

    Args:
        site: where it stands.
        eps: added to the variance.

    Raises:
        ValueError: `eps` is negative.

    Source: Ba et al. 2016 (arXiv 1607.06450).
    """

    def __init__(self, site: Site, *, eps: float) -> None:
        super().__init__(site)
        if eps < 0:
            raise ValueError(f"eps={eps} of norm=ln must be at least 0")
        self.eps = eps
        self.gain = Parameter(torch.ones(site.width))
        self.bias = Parameter(torch.zeros(site.width)) if site.dims.bias else None

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Normalise the last dimension."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.bias, self.eps)

    @property
    def is_identity(self) -> bool:
        """It is not."""
        return False

    def parameters_by_role(self) -> Iterable[Declared]:
        """Gain and bias."""
        yield vector(self.gain)
        if self.bias is not None:
            yield vector(self.bias)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
