"""Norms on the residual stream behind every sum: the original transformer."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from algoprog.model.interface.backbone import Block
from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.wiring import Stream


class PostNormBlock(Block):
    """norm(x + attention(x)), then norm(x + mlp(x)).

    The stream leaves the last block normalised. A final norm in front of the head comes on top of that, as the axis
    `final_norm` says; the original has none: `norm@final_norm=none`.

    Raises:
        ValueError: the norm is the identity.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.1.
    """

    adds_in_turn: ClassVar[bool] = False

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.attention, self.attention_norm = parts["mixer"](site, parts), self.placed(parts["norm"](site), "post")
        self.mlp, self.mlp_norm = parts["mlp"](site), parts["norm"](site)

    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer."""
        x = self.attention_norm(x + mix(x))
        return self.mlp_norm(x + self.mlp(x, context))
