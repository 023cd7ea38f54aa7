"""Fused attention by PyTorch."""

import math
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from algoprog.model.interface.mixer import causal_mask
from algoprog.model.interface.part import Kernel
from algoprog.model.interface.site import Site

WIDE = 64
"""Features of a head from which on PyTorch's fused kernel on CPUs is the faster in bfloat16."""


class FlashKernel(Kernel):
    """`scaled_dot_product_attention`: never materialises the weights where the platform has a fused kernel.

    It shows no products that could be bounded. Sinks are one more key of zeros, whose bias they are. On a CPU heads
    narrower than 64 are attended in float32 whatever the precision: PyTorch's kernel is 1.3 to 2.8 times as fast so.

    Source: Dao et al. 2022 (arXiv 2205.14135).
    """

    caps: ClassVar[bool] = False

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
        """Attend; a mask is made where the fused kernel would align the first query with the first key, or adds."""
        assert cap is None
        n_queries, n_keys = q.shape[-2], k.shape[-2]
        if mask is None and (bias is not None or sinks is not None or n_queries != n_keys):
            mask = causal_mask(n_queries, n_keys, q.device)
        if sinks is not None:
            assert mask is not None
            k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
            bias = _beside(q.new_zeros(n_queries, n_keys) if bias is None else bias, sinks)
            mask = F.pad(mask, (0, 1), value=True)
        fused = partial(
            F.scaled_dot_product_attention,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask is None,
            scale=scale,
            enable_gqa=k.shape[-3] != q.shape[-3],
        )
        added = mask if bias is None or mask is None else _added(bias, mask)
        if q.device.type != "cpu" or not widened(q):
            return fused(q, k, v, attn_mask=added)
        if added is not None and added.is_floating_point():
            added = added.float()
        with torch.autocast("cpu", enabled=False):
            return fused(q.float(), k.float(), v.float(), attn_mask=added).to(q.dtype)


def widened(q: Float[Tensor, "batch heads queries d_head"]) -> bool:
    """Whether a CPU attends these queries in float32, and keeps them so."""
    return q.dtype == torch.bfloat16 and q.shape[-1] < WIDE


def _added(bias: Tensor, mask: Tensor) -> Tensor:
    """Both in one: what is added to the products."""
    return bias.masked_fill(~mask, -math.inf)


def _beside(bias: Tensor, sinks: Tensor) -> Tensor:
    """One more column, of each head its own."""
    if bias.ndim == 2:
        bias = bias.expand(len(sinks), -1, -1)
    column = sinks.to(bias.dtype)[:, None, None].expand(*bias.shape[:-1], 1)
    return torch.cat((bias, column), dim=-1)
