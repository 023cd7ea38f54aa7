"""Dynamic tanh: no statistics at all."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.init import Init
from algoprog.model.interface.part import Norm
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site


class DynamicTanh(Norm):
    """gain * tanh(alpha x) (+ bias, where the model has biases): squashes outliers as a norm does, without statistics.

    Args:
        site: where it stands.
        alpha: slope at zero at first; it is learned.

    Raises:
        ValueError: the knob is out of range.

    Source: Zhu et al. 2025 (arXiv 2503.10622), equation 5.
    """

    def __init__(self, site: Site, *, alpha: float) -> None:
        super().__init__(site)
        if not alpha > 0:
            raise ValueError(f"alpha={alpha} of norm=dyt must be above 0")
        self.alpha = Parameter(torch.tensor([float(alpha)]))
        self.gain = Parameter(torch.ones(site.width))
        self.bias = Parameter(torch.zeros(site.width)) if site.dims.bias else None

    def forward(self, x: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
        """Scale the last dimension."""
        squashed = self.gain * torch.tanh(self.alpha * x)
        return squashed if self.bias is None else squashed + self.bias

    @property
    def is_identity(self) -> bool:
        """It is not."""
        return False

    def parameters_by_role(self) -> Iterable[Declared]:
        """Slope, gain and bias."""
        yield vector(self.alpha)
        yield vector(self.gain)
        if self.bias is not None:
            yield vector(self.bias)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
