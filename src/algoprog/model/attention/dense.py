"""Multi-head attention over every earlier position: the baseline."""

from algoprog.model.heads import HeadsAttention
from algoprog.model.interface.site import Parts, Site


class DenseAttention(HeadsAttention):
    """Full causal attention, one key/value head for every query head.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.
    """

    def __init__(self, site: Site, parts: Parts) -> None:
        super().__init__(site, parts, site.dims.n_heads)
