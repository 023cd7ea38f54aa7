"""The values of the first layer, again in every other one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site
from algoprog.model.interface.wiring import Carried, LeavesLayers, OneStream, Skip


class ValueSkip(OneStream, LeavesLayers, Skip):
    """Attention of every layer but the first mixes a v + b v0, where v0 are the values of the first; both learned.

    Args:
        site: of the whole model.
        first: b of every layer at first; a is one less it.

    Raises:
        ValueError: there is one layer alone.

    Source: Zhou et al. 2024 (arXiv 2410.17897), equation 6 and section 4.1, the learnable variant.
    """

    of_values: ClassVar[bool] = True

    def __init__(self, site: Site, *, first: float) -> None:
        super().__init__(site)
        if site.n_layers < 2:
            raise ValueError(
                "skip=value joins no layers of model.n_layers=1, which is the same function without it: use two or more"
            )
        self.of_own = nn.Parameter(torch.full((site.n_layers - 1,), 1 - float(first)))
        self.of_first = nn.Parameter(torch.full((site.n_layers - 1,), float(first)))

    def value(
        self, layer: int | None, v: Float[Tensor, "batch heads new d_head"], carried: Carried
    ) -> Float[Tensor, "batch heads new d_head"]:
        """Both, weighed."""
        assert layer is not None
        if layer == 0:
            carried["v0"] = v
            return v
        return (self.of_own[layer - 1] * v + self.of_first[layer - 1] * carried["v0"]).to(v.dtype)

    def parameters_by_role(self) -> Iterable[Declared]:
        """Two numbers a layer but the first."""
        yield vector(self.of_own)
        yield vector(self.of_first)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
