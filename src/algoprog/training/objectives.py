"""What training minimises beside the cross-entropy of the next token; evaluation never sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor


class Objective(ABC):
    """A term that training adds to the cross-entropy."""

    adds: ClassVar[bool] = True
    """Whether there is such a term."""

    ahead: int = 0
    """Tokens behind the next one that the model learns to predict at every position, by layers of training alone."""

    @abstractmethod
    def added(self, logits: Float[Tensor, "rows v"], targets: Int[Tensor, " rows"]) -> Float[Tensor, ""]:
        """The term, in nats.

        Args:
            logits: of every position that is scored, in float32 at least.
            targets: the tokens that follow.
        """
