"""Two matrices with a GELU between them: the baseline."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from algoprog.model.dense_mlp import PlainMlp
from algoprog.model.interface.site import Site


class GeluMlp(PlainMlp):
    """down(gelu(up(x))) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width.

    Source: Radford et al. 2018 (GPT); Hendrycks and Gimpel 2016 (arXiv 1606.08415).
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site, "gelu", expansion)

    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_ff"]:
        """The hidden features."""
        return F.gelu(self.up(x))
