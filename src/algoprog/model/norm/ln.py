"""Layer normalisation."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.dims import Dims
from algoprog.model.interface import Norm


class LayerNorm(Norm):
    """Zero mean and unit variance over the features, then a gain and (where the model has biases) a bias.

    Args:
        dims: sizes of the model.
        eps: added to the variance.

    Source: Ba et al. 2016 (arXiv 1607.06450).
    """

    def __init__(self, dims: Dims, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.gain = Parameter(torch.ones(dims.d_model))
        self.bias = Parameter(torch.zeros(dims.d_model)) if dims.bias else None

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Normalise the last dimension."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.bias, self.eps)
