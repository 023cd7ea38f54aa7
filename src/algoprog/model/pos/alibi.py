"""Attention with linear biases."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from algoprog.model.interface.part import EmbedsNothing, NoParameters, Position, TurnsNothing
from algoprog.model.interface.site import Site


class AlibiPosition(NoParameters, EmbedsNothing, TurnsNothing, Position):
    """Subtracts from every product of a query and a key their distance, times a slope that each head has of its own.

    Args:
        site: where it stands.

    Source: Press et al. 2021 (arXiv 2108.12409), section 3; slopes of numbers of heads that are no power of two as in
        the authors' code.
    """

    slopes: Tensor

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.register_buffer("slopes", torch.tensor(alibi_slopes(site.dims.n_heads)), persistent=False)

    def bias(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Float[Tensor, "*batch heads queries keys"] | None:
        """Zero at the query itself, less for keys further back."""
        distance = queries.unsqueeze(-1) - keys.unsqueeze(-2)
        return -self.slopes[:, None, None] * distance.unsqueeze(-3)


def alibi_slopes(n_heads: int) -> list[float]:
    """2^(-8/n), 2^(-16/n), ... of n heads; between powers of two, every second one of the next power fills up."""
    fits = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * number / fits) for number in range(1, fits + 1)]
    further = [2 ** (-4 * number / fits) for number in range(1, 2 * fits, 2)]
    return slopes + further[: n_heads - fits]
