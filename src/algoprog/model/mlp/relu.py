"""Two matrices with a ReLU between them, as in the original transformer."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from algoprog.model.dense_mlp import PlainMlp
from algoprog.model.interface.site import Site


class ReluMlp(PlainMlp):
    """down(relu(up(x))) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 2.
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site, "relu", expansion)

    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_ff"]:
        """The hidden features."""
        return F.relu(self.up(x))
