"""Multi-query attention."""

from algoprog.model.heads import HeadsAttention
from algoprog.model.interface.site import Parts, Site


class MultiQueryAttention(HeadsAttention):
    """Few key/value heads, shared by all query heads; one in the paper.

    Args:
        site: where it stands.
        parts: of its layer.
        n_kv_heads: number of key/value heads; `n_heads` gives dense attention.

    Raises:
        ValueError: `n_kv_heads` does not divide the number of heads.

    Source: Shazeer 2019 (arXiv 1911.02150).
    """

    def __init__(self, site: Site, parts: Parts, *, n_kv_heads: int) -> None:
        if n_kv_heads < 1 or site.dims.n_heads % n_kv_heads:
            raise ValueError(
                f"attention=mqa: attention.n_kv_heads={n_kv_heads} does not divide model.n_heads={site.dims.n_heads}"
            )
        super().__init__(site, parts, n_kv_heads)
