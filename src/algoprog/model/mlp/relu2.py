"""Two matrices with a squared ReLU between them."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from algoprog.model.dense_mlp import PlainMlp
from algoprog.model.interface.site import Site


class SquaredReluMlp(PlainMlp):
    """down(relu(up(x))^2) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width.

    Source: So et al. 2021 (arXiv 2109.08668), section 3.2.
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site, "relu2", expansion)

    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_ff"]:
        """The hidden features."""
        return F.relu(self.up(x)).square()
