"""A pull of the softmax's normaliser to one."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from algoprog.training.objectives import Objective


class ZLoss(Objective):
    """Adds `weight` times the mean square of ln Z, where Z is the sum of exp(logits).

    Args:
        weight: of the term.

    Raises:
        ValueError: it is not positive.

    Source: Chowdhery et al. 2022 (PaLM, arXiv 2204.02311), section 5; de Brebisson and Vincent 2016 (arXiv 1604.08859).
    """

    def __init__(self, *, weight: float) -> None:
        if weight <= 0:
            raise ValueError(f"objective=z_loss: objective.weight={weight} must be above 0")
        self.weight = weight

    def added(self, logits: Float[Tensor, "rows v"], targets: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """The term."""
        return self.weight * logits.logsumexp(dim=-1).square().mean()
