"""What may be changed about any softmax attention, whatever keys it looks at."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoFacts, NoFlops, NoParameters, NoStatistics, Part


class OutputGate(NoFacts, NoStatistics, Part):
    """Scales what attention has mixed, by its input."""

    @abstractmethod
    def forward(
        self, mixed: Float[Tensor, "batch new d_model"], x: Float[Tensor, "batch new d_model"]
    ) -> Float[Tensor, "batch new d_model"]:
        """What heads have mixed, one beside the other, scaled.

        Args:
            mixed: of the heads.
            x: what attention was given.
        """


class Sinks(NoFlops, NoFacts, NoStatistics, Part):
    """Somewhere to look that gives nothing."""

    @property
    @abstractmethod
    def logits(self) -> Float[Tensor, " heads"] | None:
        """That of each head, beside the products of its queries and keys; None for nowhere."""


class Softcap(NoParameters, NoFlops, NoFacts, NoStatistics, Part):
    """A bound of the products of queries and keys."""

    @property
    @abstractmethod
    def cap(self) -> float | None:
        """Products x become cap tanh(x / cap); None for no bound."""
