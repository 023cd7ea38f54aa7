"""Learned biases by distance."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.init import STD, Init
from algoprog.model.interface.part import EmbedsNothing, Position, TurnsNothing
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Site


class T5Bias(EmbedsNothing, TurnsNothing, Position):
    """Adds to a product of query and key a number that each head learns for their distance; all layers share it.

    Distances fall into buckets: one each up to half of the buckets, then wider ones up to `max_distance`, beyond which
    all are alike. Any context may be read.

    Args:
        site: where it stands.
        buckets: numbers that a head learns; even.
        max_distance: positions beyond which distances are not told apart.

    Raises:
        ValueError: the buckets make no halves, or the distance lies within the first of them.

    Source: Raffel et al. 2019 (arXiv 1910.10683), section 2.1; added to products that are scaled here.
    """

    def __init__(self, site: Site, *, buckets: int, max_distance: int) -> None:
        super().__init__(site)
        if buckets < 2 or buckets % 2:
            raise ValueError(f"pos=t5_bias: pos.buckets={buckets} must be even and at least 2")
        if max_distance <= buckets // 2:
            raise ValueError(
                f"pos=t5_bias: pos.max_distance={max_distance} must be above half of pos.buckets={buckets}, which"
                " are the distances that have a bucket each"
            )
        self.buckets, self.max_distance = buckets, max_distance
        self.table = nn.Parameter(torch.empty(site.dims.n_heads, buckets))

    def bias(
        self, queries: Int[Tensor, "*batch queries"], keys: Int[Tensor, "*batch keys"]
    ) -> Float[Tensor, "*batch heads queries keys"] | None:
        """The number of each distance; keys behind their query count as its own."""
        distance = (queries.unsqueeze(-1) - keys.unsqueeze(-2)).clamp(min=0)
        return self.table[:, self._bucket(distance)].movedim(0, -3)

    def _bucket(self, distance: Int[Tensor, "*places"]) -> Int[Tensor, "*places"]:
        exact = self.buckets // 2
        share = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        wide = (exact + (share * (self.buckets - exact)).long()).clamp(max=self.buckets - 1)
        return torch.where(distance < exact, distance, wide)

    def parameters_by_role(self) -> Iterable[Declared]:
        """Numbers, of which none maps anything."""
        yield vector(self.table)

    def init_weights(self, init: Init) -> None:
        """Small."""
        init.gaussian(self.table, "table", STD)
