"""Layers that begin by writing nothing."""

from torch import Generator, Tensor

from algoprog.model.init import Gpt2Rule


class ZeroOut(Gpt2Rule):
    """GPT-2's, but every matrix that writes the residual stream is zero, so that layers are the identity at first.

    What stands in front of such a matrix learns from the second step on.

    Source: Zhang et al. 2019 (Fixup, arXiv 1901.09321), section 3; Jordan et al. 2024
        (https://github.com/KellerJordan/modded-nanogpt).
    """

    def residual(self, values: Tensor, generator: Generator, n_layers: int) -> Tensor:
        """Zeros."""
        return values.zero_()
