"""Cross-entropy alone: the baseline."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from algoprog.training.objectives import Objective


class NextToken(Objective):
    """The mean cross-entropy of the next token, and nothing else.

    Source: Radford et al. 2018 (GPT), equation 1.
    """

    adds: ClassVar[bool] = False

    def added(self, logits: Float[Tensor, "rows v"], targets: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """Nothing."""
        return logits.new_zeros(())
