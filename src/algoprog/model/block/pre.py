"""Norms in front of the sublayers: the baseline."""

from collections.abc import Callable

from torch import Tensor

from algoprog.model.interface.backbone import Block
from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.wiring import Stream


class PreNormBlock(Block):
    """x + attention(norm(x)), then x + mlp(norm(x)): the residual stream itself is never normalised.

    Source: Radford et al. 2019 (GPT-2), section 2.3; Xiong et al. 2020 (arXiv 2002.04745).
    """

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.attention_norm, self.attention = parts["norm"](site), parts["mixer"](site, parts)
        self.mlp_norm, self.mlp = parts["norm"](site), parts["mlp"](site)

    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer."""
        x = self.joined(0, x, lambda given: mix(self.attention_norm(given)), context)
        return self.joined(1, x, lambda given: self.mlp(self.mlp_norm(given), context), context)
