"""Several future tokens at every position."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from algoprog.training.objectives import Objective


class MultiToken(Objective):
    """The sum of the cross-entropies of the next `n_future` tokens, each predicted by a last layer of its own.

    The layers stand side by side behind the same trunk and share the last norm and the output matrix. That of the next
    token is the model's own; the others are trained beside it, and neither evaluated nor kept for decoding. Positions
    whose further tokens lie behind the end of a sequence are left out of their cross-entropies.

    Args:
        n_future: tokens predicted, the next one among them.

    Raises:
        ValueError: it is the next token alone.

    Source: Gloeckle et al. 2024 (arXiv 2404.19737), equation 2 and section 2, independent heads.
    """

    adds: ClassVar[bool] = False

    def __init__(self, *, n_future: int) -> None:
        if n_future < 2:
            raise ValueError(
                f"objective=multi_token: objective.n_future={n_future} must be at least 2: the next token alone is"
                " objective=next_token"
            )
        self.ahead = n_future - 1

    def added(self, logits: Float[Tensor, "rows v"], targets: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """Nothing of the next token's logits."""
        return logits.new_zeros(())
