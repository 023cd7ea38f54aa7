"""Norms on the updates of the sublayers, none in front of them."""

from collections.abc import Callable

from torch import Tensor

from algoprog.model.interface.backbone import Block
from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.wiring import Stream


class ReorderedNormBlock(Block):
    """x + norm(attention(x)), then x + norm(mlp(x)): the stream itself is never normalised.

    Raises:
        ValueError: the norm is the identity.

    Source: OLMo Team 2024 (OLMo 2, arXiv 2501.00656), section 2.1; Liu et al. 2022 (Swin V2, arXiv 2111.09883).
    """

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.attention, self.attention_norm = parts["mixer"](site, parts), self.placed(parts["norm"](site), "reordered")
        self.mlp, self.mlp_norm = parts["mlp"](site), parts["norm"](site)

    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer."""
        x = self.joined(0, x, lambda given: self.attention_norm(mix(given)), context)
        return self.joined(1, x, lambda given: self.mlp_norm(self.mlp(given, context)), context)
