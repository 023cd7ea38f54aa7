"""Nothing but the residual stream: the baseline."""

from algoprog.model.interface.part import NoParameters
from algoprog.model.interface.wiring import LeavesLayers, LeavesValues, OneStream, Skip


class NoSkip(NoParameters, OneStream, LeavesLayers, LeavesValues, Skip):
    """Layers are joined by the residual stream alone.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.1.
    """
