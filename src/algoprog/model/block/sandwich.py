"""Norms in front of the sublayers and on their updates."""

from collections.abc import Callable

from torch import Tensor

from algoprog.model.interface.backbone import Block
from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.wiring import Stream


class SandwichNormBlock(Block):
    """x + norm(attention(norm(x))), then x + norm(mlp(norm(x))), each norm with a gain of its own.

    Raises:
        ValueError: the norm is the identity.

    Source: Ding et al. 2021 (CogView, arXiv 2105.13290), section 2.4; Gemma Team 2024 (Gemma 2, arXiv 2408.00118).
    """

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.attention_norm, self.attention = self.placed(parts["norm"](site), "sandwich"), parts["mixer"](site, parts)
        self.attention_norm_after = parts["norm"](site)
        self.mlp_norm, self.mlp = parts["norm"](site), parts["mlp"](site)
        self.mlp_norm_after = parts["norm"](site)

    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer."""
        x = self.joined(0, x, lambda given: self.attention_norm_after(mix(self.attention_norm(given))), context)
        return self.joined(1, x, lambda given: self.mlp_norm_after(self.mlp(self.mlp_norm(given), context)), context)
