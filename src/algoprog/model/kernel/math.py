"""Attention written out: scores, softmax, values. The baseline."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from algoprog.model.dims import Dims
from algoprog.model.interface import Kernel


class MathKernel(Kernel):
    """Materialises the matrix of attention weights.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.dropout = dims.dropout

    def forward(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_head"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
    ) -> Float[Tensor, "batch heads queries d_head"]:
        """Attend; query heads that share a key/value head are stacked as rows, so keys and values are not copied."""
        shared, group = k.shape[-3], q.shape[-3] // k.shape[-3]
        rows = q.unflatten(-3, (shared, group)).flatten(-3, -2) / math.sqrt(q.shape[-1])
        scores = (rows @ k.transpose(-1, -2)).unflatten(-2, (group, -1)).flatten(-4, -3)
        if mask is None:
            mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        weights = F.softmax(scores.masked_fill_(~mask, -math.inf), dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        rows = weights.unflatten(-3, (shared, group)).flatten(-3, -2)
        return (rows @ v).unflatten(-2, (group, -1)).flatten(-4, -3)
