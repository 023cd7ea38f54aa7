"""Fused attention by PyTorch."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from algoprog.model.dims import Dims
from algoprog.model.interface import Kernel


class FlashKernel(Kernel):
    """`scaled_dot_product_attention`: never materialises the weights where the platform has a fused kernel.

    Source: Dao et al. 2022 (arXiv 2205.14135).
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
        """Attend."""
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask is None,
            enable_gqa=k.shape[-3] != q.shape[-3],
        )
