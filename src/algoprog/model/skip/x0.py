"""The embedding again in front of every layer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from algoprog.model.init import Init
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site
from algoprog.model.interface.wiring import Carried, LeavesValues, OneStream, Skip


class InputSkip(OneStream, LeavesValues, Skip):
    """Every layer is given a x + b x0, where x0 is what the first was given; a is 1 and b is 0 at first, both learned.

    Args:
        site: of the whole model.

    Source: Jordan et al. 2024 (https://github.com/KellerJordan/modded-nanogpt), records of November 2024.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.of_stream = nn.Parameter(torch.ones(site.n_layers))
        self.of_input = nn.Parameter(torch.zeros(site.n_layers))

    def entering(
        self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried
    ) -> Float[Tensor, "batch new d_model"]:
        """Both, weighed."""
        first = carried.setdefault("x0", x)
        return self.of_stream[layer] * x + self.of_input[layer] * first

    def left(self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried) -> None:
        """Nothing is noted."""

    def parameters_by_role(self) -> Iterable[Declared]:
        """Two numbers a layer."""
        yield vector(self.of_stream)
        yield vector(self.of_input)

    def init_weights(self, init: Init) -> None:
        """The constructor has set them."""
