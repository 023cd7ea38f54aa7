"""Grouped-query attention."""

from algoprog.model.heads import HeadsAttention
from algoprog.model.interface.site import Parts, Site


class GroupedQueryAttention(HeadsAttention):
    """One key/value head for every group of `group_size` query heads.

    Args:
        site: where it stands.
        parts: of its layer.
        group_size: query heads that share a key/value head; 1 gives dense attention, `n_heads` multi-query.

    Raises:
        ValueError: `group_size` does not divide the number of heads.

    Source: Ainslie et al. 2023 (arXiv 2305.13245).
    """

    def __init__(self, site: Site, parts: Parts, *, group_size: int) -> None:
        if group_size < 1 or site.dims.n_heads % group_size:
            raise ValueError(
                f"attention=gqa: attention.group_size={group_size} does not divide model.n_heads={site.dims.n_heads}"
            )
        super().__init__(site, parts, site.dims.n_heads // group_size)
