"""What parts tell the forward pass beside their output: losses of their own, and statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Reduction = Literal["sum", "mean", "max"]


@dataclass(frozen=True)
class Statistic:
    """Something that a part counts in every forward pass of training.

    Args:
        shape: of what is reported.
        reduction: how reports of micro-batches, steps and devices come together.
        summary: from what came together, the numbers that are written down, by name; NaN is what nobody knows. Curves
            hold their mean over the layers, records those of every layer.
    """

    shape: tuple[int, ...]
    reduction: Reduction
    summary: Callable[[Tensor], Mapping[str, float]]

    def columns(self) -> tuple[str, ...]:
        """Names of the numbers."""
        return tuple(self.summary(torch.ones(self.shape)))


@dataclass
class Reports:
    """What was told in one forward pass; it is dropped with it, so that no tensor stays on a module."""

    losses: list[Tensor] = field(default_factory=list)
    statistics: dict[str, Tensor] = field(default_factory=dict)  # by the key of the part's layer and the name
    ahead: list[Tensor] = field(default_factory=list)  # logits of the token after the next, of the one after that, ...

    def add_loss(self, loss: Float[Tensor, ""]) -> None:
        """A term that training adds to the cross-entropy, as a mean over the batch; evaluation never sees it.

        The batch of a step may be cut into any micro-batches: the mean over sequences of what each sequence gives is
        the same for every cut.
        """
        self.losses.append(loss)

    def objective(self, cross_entropy: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """What training minimises."""
        return sum(self.losses, start=cross_entropy)


def key(layer: int | None, name: str) -> str:
    """Under what a statistic of a layer is kept."""
    return name if layer is None else f"layer {layer} {name}"
