"""Multi-head attention over every earlier position: the baseline."""

from algoprog.model.dims import Dims
from algoprog.model.heads import HeadsAttention


class DenseAttention(HeadsAttention):
    """Full causal attention, one key/value head for every query head.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims, dims.n_heads)
