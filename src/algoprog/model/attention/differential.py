"""Attention by the difference of two softmaxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from algoprog.model.heads import HeadsAttention
from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.roles import Declared, vector
from algoprog.model.interface.site import Parts, Site, Work

STD = 0.1
"""Standard deviation of the vectors that the factor is computed from, in the authors' code."""

EPS = 1e-5
"""Added to the mean square of what a pair of heads gives, as in the authors' code."""


class DifferentialAttention(HeadsAttention):
    """Two heads share a value of twice the width, and what one attends to is subtracted from what the other does.

    The factor of the subtraction is exp(q1 k1) - exp(q2 k2) plus a constant that grows with depth, of four vectors that
    the layer learns; each pair's output is normalised by its root mean square and scaled by one less that constant.
    Halves of the heads are paired: the first with the first of the second half, and so on.

    Args:
        site: where it stands.
        parts: of its layer.

    Raises:
        ValueError: the heads make no pairs.

    Source: Ye et al. 2024 (arXiv 2410.05258), equations 1 to 3; without the gain of the norm, as in transformers.
    """

    def __init__(self, site: Site, parts: Parts) -> None:
        if site.dims.n_heads % 2:
            raise ValueError(
                f"attention=differential takes heads in pairs, and model.n_heads={site.dims.n_heads} is odd: choose an"
                " even number"
            )
        super().__init__(site, parts, site.dims.n_heads)
        assert site.layer is not None
        self.constant = 0.8 - 0.6 * math.exp(-0.3 * site.layer)
        self.factor_q1, self.factor_k1, self.factor_q2, self.factor_k2 = (
            nn.Parameter(torch.empty(self.d_head)) for _ in range(4)
        )

    def mixed(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch heads keys d_head"],
        v: Float[Tensor, "batch heads keys d_head"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
        bias: Float[Tensor, "*#batch queries keys"] | None,
        context: Context,
    ) -> Float[Tensor, "batch heads queries d_head"]:
        """The difference, cut into heads again."""
        wide = torch.cat(v.chunk(2, dim=1), dim=-1)
        first, second = self.softmax(q, k, wide.repeat(1, 2, 1, 1), mask, context, bias=bias).chunk(2, dim=1)
        difference = first - self.factor.to(first.dtype) * second
        scaled = (1 - self.constant) * F.rms_norm(difference, difference.shape[-1:], eps=EPS)
        return scaled.transpose(1, 2).flatten(2).unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)

    @property
    def factor(self) -> Float[Tensor, ""]:
        """Of what is subtracted; in the precision of the parameters."""
        first, second = (self.factor_q1 * self.factor_k1).sum(), (self.factor_q2 * self.factor_k2).sum()
        return first.exp() - second.exp() + self.constant

    def flops(self, work: Work) -> float:
        """As other attention, but every head mixes values of twice the width."""
        pairs = self.attended_keys(work.context, work.new) * work.batch
        return super().flops(work) + 2 * self.n_heads * self.d_head * pairs

    def facts(self) -> Mapping[str, float]:
        """The constant of this layer's factor, beside the density."""
        return {**super().facts(), f"differential_constant_{self.site.layer}": self.constant}

    def parameters_by_role(self) -> Iterable[Declared]:
        """The projections and the four vectors."""
        yield from super().parameters_by_role()
        yield from (vector(own) for own in self._vectors.values())

    def init_weights(self, init: Init) -> None:
        """The projections, and small vectors."""
        super().init_weights(init)
        for name, own in self._vectors.items():
            init.gaussian(own, name, STD)

    @property
    def _vectors(self) -> dict[str, nn.Parameter]:
        return {name: own for name, own in self.named_parameters(recurse=False) if name.startswith("factor_")}
