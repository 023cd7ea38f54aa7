"""Targets that leave a share to all tokens."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from algoprog.training.objectives import Objective


class LabelSmoothing(Objective):
    """Cross-entropy with targets of which every token of the vocabulary, padding included, has a share.

    Args:
        share: of the probability that is spread evenly.

    Raises:
        ValueError: it does not lie between 0 and 1.

    Source: Szegedy et al. 2015 (arXiv 1512.00567), section 7; Vaswani et al. 2017 (arXiv 1706.03762), section 5.4.
    """

    def __init__(self, *, share: float) -> None:
        if not 0 < share < 1:
            raise ValueError(f"objective=label_smoothing: objective.share={share} must lie between 0 and 1")
        self.share = share

    def added(self, logits: Float[Tensor, "rows v"], targets: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """What smoothed targets cost beyond the others."""
        return F.cross_entropy(logits, targets, label_smoothing=self.share) - F.cross_entropy(logits, targets)
