"""Attention written out: scores, softmax, values. The baseline."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from algoprog.model.interface.mixer import causal_mask, hidden
from algoprog.model.interface.part import Kernel
from algoprog.model.interface.site import Site


class MathKernel(Kernel):
    """Materialises the matrix of attention weights.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.dropout = site.dims.dropout

    def forward(
        self,
        q: Float[Tensor, "batch heads queries d_head"],
        k: Float[Tensor, "batch kv_heads keys d_head"],
        v: Float[Tensor, "batch kv_heads keys d_value"],
        mask: Bool[Tensor, "*#batch queries keys"] | None,
        *,
        scale: float | None = None,
        bias: Float[Tensor, "*#batch queries keys"] | None = None,
        sinks: Float[Tensor, " heads"] | None = None,
        cap: float | None = None,
    ) -> Float[Tensor, "batch heads queries d_value"]:
        """Attend; query heads that share a key/value head are stacked as rows, so keys and values are not copied."""
        shared, group = k.shape[-3], q.shape[-3] // k.shape[-3]
        scaled = q / math.sqrt(q.shape[-1]) if scale is None else q * scale
        rows = scaled.unflatten(-3, (shared, group)).flatten(-3, -2)
        scores = rows @ k.transpose(-1, -2)
        if group > 1:
            scores = scores.unflatten(-2, (group, -1)).flatten(-4, -3)
        if cap is not None:
            scores = cap * torch.tanh(scores / cap)
        if bias is not None:
            scores = scores + bias
        if mask is None:
            mask = causal_mask(q.shape[-2], k.shape[-2], q.device)
        # Adding needs no pass over the gradients, which are zero where a weight is; in place of a view it needs two.
        added = hidden(mask, scores.dtype)
        scores = scores + added if group > 1 else scores.add_(added)
        if sinks is None:
            weights = F.softmax(scores, dim=-1)
        else:
            beside = sinks.to(scores.dtype)[:, None, None].expand(*scores.shape[:-1], 1)
            weights = F.softmax(torch.cat((scores, beside), dim=-1), dim=-1)[..., :-1]
        weights = F.dropout(weights, self.dropout, self.training)
        rows = weights.unflatten(-3, (shared, group)).flatten(-3, -2)
        return (rows @ v).unflatten(-2, (group, -1)).flatten(-4, -3)
