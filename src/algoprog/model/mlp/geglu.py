"""A gated MLP with the GELU."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from algoprog.model.dense_mlp import GatedMlp
from algoprog.model.interface.site import Site


class GegluMlp(GatedMlp):
    """down(gelu(gate(x)) * up(x)) with `expansion * d_model` hidden features.

    Args:
        site: where it stands.
        expansion: hidden over model width.

    Source: Shazeer 2020 (arXiv 2002.05202), equation 6.
    """

    def __init__(self, site: Site, *, expansion: float) -> None:
        super().__init__(site, "geglu", expansion)

    def hidden(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_ff"]:
        """The hidden features."""
        return F.gelu(self.gate(x)) * self.up(x)
