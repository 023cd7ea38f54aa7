"""The initial weights of torch's own layers."""

import math

from torch import Generator, Tensor

from algoprog.model.init import Rule


class Torch(Rule):
    """Matrices from U(-1 / sqrt(inputs), 1 / sqrt(inputs)), those of the residual stream too, embeddings from N(0, 1).

    Biases begin at zero all the same. With a tied head, logits are as large at first as embeddings make them.

    Source: torch.nn.Linear and torch.nn.Embedding; He et al. 2015 (arXiv 1502.01852), with the slope of sqrt(5).
    """

    def matrix(self, values: Tensor, generator: Generator) -> Tensor:
        """By the number of inputs."""
        bound = 1 / math.sqrt(values.shape[-1])
        return values.uniform_(-bound, bound, generator=generator)

    def residual(self, values: Tensor, generator: Generator, n_layers: int) -> Tensor:
        """As any matrix."""
        return self.matrix(values, generator)

    def embedding(self, values: Tensor, generator: Generator) -> Tensor:
        """From the standard normal distribution."""
        return values.normal_(0.0, 1.0, generator=generator)
