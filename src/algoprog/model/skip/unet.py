"""What the first half of the layers give, again in front of the second half."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site
from algoprog.model.interface.wiring import Carried, LeavesValues, OneStream, Skip


class UnetSkip(OneStream, LeavesValues, Skip):
    """The last layer is given x + w y, where y is the stream behind the first; the one before it, behind the second.

    The weights w are 1 at first and learned; of an odd number of layers, the middle one is joined to none.

    Args:
        site: of the whole model.

    Raises:
        ValueError: there are no two layers to join.

    Source: Ronneberger et al. 2015 (arXiv 1505.04597); in a decoder: Jordan et al. 2024
        (https://github.com/KellerJordan/modded-nanogpt), records of November 2024.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.pairs = site.n_layers // 2
        if not self.pairs:
            raise ValueError(
                "skip=unet joins no layers of model.n_layers=1, which is the same function without it: use two or more"
            )
        self.weight = nn.Parameter(torch.ones(self.pairs))

    def entering(
        self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried
    ) -> Float[Tensor, "batch new d_model"]:
        """With what was noted of its mirror image."""
        mirror = self.site.n_layers - 1 - layer
        return x + self.weight[mirror] * carried[str(mirror)] if mirror < self.pairs else x

    def left(self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried) -> None:
        """The first half is noted."""
        if layer < self.pairs:
            carried[str(layer)] = x

    def parameters_by_role(self) -> Iterable[Declared]:
        """One number a pair of layers."""
        yield vector(self.weight)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
