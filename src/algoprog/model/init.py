"""Initial weights from one random stream a parameter."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from algoprog.model.dims import Dims
from algoprog.model.interface.roles import Role

STD = 0.02
"""Standard deviation of every weight matrix and embedding (GPT-2)."""


@dataclass(frozen=True)
class Scales:
    """What a rule scales beside weights; 1 where it leaves a model as it is."""

    output: float = 1.0  # logits
    attention: float = 1.0  # products of queries and keys
    rates: Mapping[Role, float] = field(default_factory=dict)  # learning rates, by role


class Rule(ABC):
    """From what distribution weights are drawn, by what they do; filters, gains and biases are their parts' own."""

    by_role: ClassVar[bool] = False
    """Whether it gives roles learning rates of their own, as optimizers need them that move every element alike."""

    def at(self, dims: Dims) -> Rule:
        """The rule for a model of these sizes."""
        return self

    @property
    def scales(self) -> Scales:
        """What it scales beside weights."""
        return Scales()

    @abstractmethod
    def matrix(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Fill a matrix, or a stack of them, of outputs x inputs."""

    @abstractmethod
    def residual(self, values: Tensor, generator: torch.Generator, n_layers: int) -> Tensor:
        """Fill one that writes the residual stream."""

    @abstractmethod
    def embedding(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Fill vectors that are looked up."""

    def output(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Fill an output matrix that is no embedding."""
        return self.matrix(values, generator)

    def router(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Fill a matrix of as many outputs at every width."""
        return self.matrix(values, generator)


class Gpt2Rule(Rule):
    """N(0, 0.02^2), and for what writes the residual stream N(0, 0.02^2 / (2 n_layers)).

    Source: Radford et al. 2019 (GPT-2), section 2.3.
    """

    def matrix(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """One deviation for every size."""
        return values.normal_(0.0, STD, generator=generator)

    def residual(self, values: Tensor, generator: torch.Generator, n_layers: int) -> Tensor:
        """Less the deeper the model is."""
        return values.normal_(0.0, STD / math.sqrt(2 * n_layers), generator=generator)

    def embedding(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """As any matrix."""
        return self.matrix(values, generator)


@dataclass(frozen=True)
class Init:
    """Fills parameters from generators keyed by (seed, name).

    Because no stream is shared, swapping one part leaves the initial weights of every other part bit-identical, and
    variants of a seed are compared with common random numbers.
    """

    seed: int
    n_layers: int
    rule: Rule
    prefix: str = ""

    def child(self, name: str) -> Init:
        """The streams of what lies inside a part, by a longer name."""
        return Init(self.seed, self.n_layers, self.rule, f"{self.prefix}{name}.")

    def normal(self, weight: Tensor, name: str) -> None:
        """Fill in place as any matrix; from N(0, 0.02^2) by GPT-2's rule."""
        self._fill(weight, name, self.rule.matrix)

    def embedding(self, weight: Tensor, name: str) -> None:
        """Fill in place as vectors that are looked up; from N(0, 0.02^2) by GPT-2's rule."""
        self._fill(weight, name, self.rule.embedding)

    def output(self, weight: Tensor, name: str) -> None:
        """Fill in place as an output matrix that is no embedding."""
        self._fill(weight, name, self.rule.output)

    def router(self, weight: Tensor, name: str) -> None:
        """Fill in place as a matrix of as many outputs at every width."""
        self._fill(weight, name, self.rule.router)

    def gaussian(self, weight: Tensor, name: str, std: float) -> None:
        """Fill in place from N(0, std^2), whatever the rule."""
        self._fill(weight, name, lambda values, generator: values.normal_(0.0, std, generator=generator))

    def residual(self, weight: Tensor, name: str) -> None:
        """Fill in place as a matrix that writes the residual stream; from N(0, 0.02^2 / (2 n_layers)) by GPT-2's."""
        self._fill(weight, name, lambda values, generator: self.rule.residual(values, generator, self.n_layers))

    def uniform(self, weight: Tensor, name: str, bound: float) -> None:
        """Fill in place from U(-bound, bound)."""
        self.between(weight, name, -bound, bound)

    def between(self, weight: Tensor, name: str, low: float, high: float) -> None:
        """Fill in place from U(low, high)."""
        self._fill(weight, name, lambda values, generator: values.uniform_(low, high, generator=generator))

    def _fill(self, weight: Tensor, name: str, draw: Callable[[Tensor, torch.Generator], Tensor]) -> None:
        if weight.is_meta:
            return
        digest = hashlib.sha256(f"{self.seed}/{self.prefix}{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        with torch.no_grad():  # drawn on the CPU in float32: the same weights on every device
            weight.copy_(draw(torch.empty(weight.shape), generator))


def empty_embedding(n_vectors: int, width: int) -> nn.Embedding:
    """A table whose values `init_weights` sets.

    The constructor of nn.Embedding would draw values too; on the meta device that makes torch import its compiler,
    which takes longer than pricing many models.
    """
    return nn.Embedding.from_pretrained(torch.empty(n_vectors, width), freeze=False)
