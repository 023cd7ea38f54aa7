"""Attention and MLP side by side."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from algoprog.model.interface.backbone import Block
from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Parts, Site
from algoprog.model.interface.wiring import Stream


class ParallelBlock(Block):
    """x + attention(norm(x)) + mlp(norm(x)), with one norm for both.

    Another function than the sequence of the two even without a norm, so `norm=none` is allowed.

    Source: Wang and Komatsuzaki 2021 (GPT-J-6B); Chowdhery et al. 2022 (PaLM, arXiv 2204.02311), section 2.
    """

    adds_in_turn: ClassVar[bool] = False

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site)
        self.attention_norm, self.attention = parts["norm"](site), parts["mixer"](site, parts)
        self.mlp = parts["mlp"](site)

    def wired(self, x: Stream, mix: Callable[[Tensor], Tensor], context: Context) -> Stream:
        """The residual stream after this layer."""
        normed = self.attention_norm(x)
        return x + mix(normed) + self.mlp(normed, context)
