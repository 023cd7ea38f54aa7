"""What lies around the layers: how they are joined besides the residual stream, and the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoFacts, NoFlops, NoStatistics, Part

Carried = dict[str, Tensor]
"""What one forward pass carries from layer to layer, of its own positions alone; nothing of it outlives the pass."""


Stream = Float[Tensor, "batch new *streams d_model"]
"""The residual stream, or several."""

Update = Callable[[Float[Tensor, "batch new d_model"]], Float[Tensor, "batch new d_model"]]
"""What a sublayer makes of its input."""


class Skip(NoFacts, NoStatistics, Part):
    """How layers are joined: what updates are added to, and what earlier layers leave to later ones."""

    of_values: ClassVar[bool] = False
    """Whether it mixes values of attention, which then has to have some of every head."""

    of_updates: ClassVar[bool] = False
    """Whether it weighs updates, which layers then have to add one after the other."""

    @abstractmethod
    def opened(self, x: Float[Tensor, "batch new d_model"]) -> Stream:
        """The residual stream in front of all layers."""

    @abstractmethod
    def closed(self, x: Stream) -> Float[Tensor, "batch new d_model"]:
        """What is read of it behind all layers."""

    @abstractmethod
    def joined(self, layer: int, place: int, x: Stream, update: Update) -> Stream:
        """The residual stream with an update.

        Args:
            layer: whose update it is.
            place: 0 for the mixer's, 1 for the MLP's.
            x: the stream.
            update: what is to be added, as it depends on what is read of the stream.
        """

    @abstractmethod
    def entering(self, layer: int, x: Stream, carried: Carried) -> Stream:
        """The residual stream as a layer is given it."""

    @abstractmethod
    def left(self, layer: int, x: Stream, carried: Carried) -> None:
        """Take notice of the residual stream behind a layer."""

    @abstractmethod
    def value(
        self, layer: int | None, v: Float[Tensor, "batch heads new d_head"], carried: Carried
    ) -> Float[Tensor, "batch heads new d_head"]:
        """The values that attention of a layer mixes and keeps."""


class OneStream(NoFlops):
    """For skips that leave one residual stream, to which updates are added."""

    def opened(self, x: Float[Tensor, "batch new d_model"]) -> Float[Tensor, "batch new d_model"]:
        """As it is."""
        return x

    def closed(self, x: Float[Tensor, "batch new d_model"]) -> Float[Tensor, "batch new d_model"]:
        """As it is."""
        return x

    def joined(
        self, layer: int, place: int, x: Float[Tensor, "batch new d_model"], update: Update
    ) -> Float[Tensor, "batch new d_model"]:
        """Their sum."""
        return x + update(x)


class LeavesLayers:
    """For skips that leave what a layer is given as it is."""

    def entering(self, layer: int, x: Stream, carried: Carried) -> Stream:
        """As it is."""
        return x

    def left(self, layer: int, x: Stream, carried: Carried) -> None:
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
