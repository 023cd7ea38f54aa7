"""Root-mean-square normalisation."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from algoprog.model.dims import Dims
from algoprog.model.interface import Norm


class RMSNorm(Norm):
    """Unit mean square over the features, then a gain.

    Args:
        dims: sizes of the model.
        eps: added to the mean square.

    Source: Zhang and Sennrich 2019 (arXiv 1910.07467).
    """

    def __init__(self, dims: Dims, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.gain = Parameter(torch.ones(dims.d_model))

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """Normalise the last dimension."""
        return F.rms_norm(x, self.gain.shape, self.gain, self.eps)
