"""What lies around the layers: how they are joined besides the residual stream, and the output."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoFacts, NoFlops, NoStatistics, Part

Carried = dict[str, Tensor]
"""What one forward pass carries from layer to layer, of its own positions alone; nothing of it outlives the pass."""


class Skip(NoFlops, NoFacts, NoStatistics, Part):
    """Carries what earlier layers had to later ones, past those between."""

    of_values: ClassVar[bool] = False
    """Whether it mixes values of attention, which then has to have some of every head."""

    @abstractmethod
    def entering(
        self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried
    ) -> Float[Tensor, "batch new d_model"]:
        """The residual stream as a layer is given it."""

    @abstractmethod
    def left(self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried) -> None:
        """Take notice of the residual stream behind a layer."""

    @abstractmethod
    def value(
        self, layer: int | None, v: Float[Tensor, "batch heads new d_head"], carried: Carried
    ) -> Float[Tensor, "batch heads new d_head"]:
        """The values that attention of a layer mixes and keeps."""


class LeavesStream:
    """For skips that leave the residual stream as it is."""

    def entering(
        self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried
    ) -> Float[Tensor, "batch new d_model"]:
        """As it is."""
        return x

    def left(self, layer: int, x: Float[Tensor, "batch new d_model"], carried: Carried) -> None:
        """Nothing is noted."""


class LeavesValues:
    """For skips that leave values as they are."""

    def value(
        self, layer: int | None, v: Float[Tensor, "batch heads new d_head"], carried: Carried
    ) -> Float[Tensor, "batch heads new d_head"]:
        """As they are."""
        return v


class Head(NoFacts, NoStatistics, Part):
    """From the last vectors to the score of every token."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "batch seq d_model"], table: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token.

        Args:
            x: behind the last norm.
            table: of the token embedding.
        """
