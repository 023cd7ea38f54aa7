"""Maximal update parametrisation: what is best at one width is best at every other."""

from __future__ import annotations

import copy
import math
from typing import ClassVar

from torch import Generator, Tensor

from algoprog.model.dims import Dims
from algoprog.model.init import STD, Rule, Scales
from algoprog.model.interface.roles import Role


class Mup(Rule):
    """Weights, learning rates, logits and attention are scaled so that activations move alike at every width.

    At m times the base width, matrices begin at N(0, 0.02^2 / m), have 1/m of the learning rate and m times the weight
    decay; logits are divided by m, so embeddings and output matrix are those of every width; products of queries and
    keys are divided by the width of a head and no longer by its root. At the base width all is as by GPT-2's rule. A
    router, whose logits nothing divides, begins at N(0, (0.02 / m)^2).

    Args:
        base_width: `model.d_model` at which a learning rate was chosen.
        base_head: width of a head there.

    Raises:
        ValueError: a width is not positive.

    Source: Yang et al. 2022 (arXiv 2203.03466), table 8 and section 4; weight decay as in the authors' code.
    """

    by_role: ClassVar[bool] = True

    def __init__(self, *, base_width: int, base_head: int) -> None:
        for name, width in (("base_width", base_width), ("base_head", base_head)):
            if width < 1:
                raise ValueError(f"init=mup: init.{name}={width} must be at least 1")
        self.base_width, self.base_head = base_width, base_head
        self.width = self.head_width = 1.0

    def at(self, dims: Dims) -> Rule:
        """At the widths of a model, in those of the base."""
        own = copy.copy(self)
        own.width, own.head_width = dims.d_model / self.base_width, dims.d_head / self.base_head
        return own

    @property
    def scales(self) -> Scales:
        """By width; embeddings, gains and biases have the learning rate itself."""
        rates = dict.fromkeys((Role.MATRIX, Role.ROUTER), 1 / self.width)
        return Scales(1 / self.width, 1 / math.sqrt(self.head_width), rates)

    def matrix(self, values: Tensor, generator: Generator) -> Tensor:
        """Of the variance of the base width over how many times as wide it is."""
        return values.normal_(0.0, STD / math.sqrt(self.width), generator=generator)

    def residual(self, values: Tensor, generator: Generator, n_layers: int) -> Tensor:
        """The same, less the deeper the model is."""
        return values.normal_(0.0, STD / math.sqrt(self.width * 2 * n_layers), generator=generator)

    def embedding(self, values: Tensor, generator: Generator) -> Tensor:
        """As at the base width."""
        return values.normal_(0.0, STD, generator=generator)

    def output(self, values: Tensor, generator: Generator) -> Tensor:
        """As at the base width, for logits are divided."""
        return values.normal_(0.0, STD, generator=generator)

    def router(self, values: Tensor, generator: Generator) -> Tensor:
        """Logits of so many experts, which nothing divides."""
        return values.normal_(0.0, STD / self.width, generator=generator)
