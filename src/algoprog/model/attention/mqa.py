"""Multi-query attention."""

from algoprog.model.dims import Dims
from algoprog.model.heads import HeadsAttention


class MultiQueryAttention(HeadsAttention):
    """Few key/value heads, shared by all query heads; one in the paper.

    Args:
        dims: sizes of the model.
        n_kv_heads: number of key/value heads; `n_heads` gives dense attention.

    Raises:
        ValueError: `n_kv_heads` does not divide the number of heads.

    Source: Shazeer 2019 (arXiv 1911.02150).
    """

    def __init__(self, dims: Dims, *, n_kv_heads: int) -> None:
        if n_kv_heads < 1 or dims.n_heads % n_kv_heads:
            raise ValueError(
                f"attention=mqa: attention.n_kv_heads={n_kv_heads} does not divide model.n_heads={dims.n_heads}"
            )
        super().__init__(dims, n_kv_heads)
