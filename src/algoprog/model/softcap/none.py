"""No bound: the baseline."""

from algoprog.model.interface.softmax import Softcap


class NoSoftcap(Softcap):
    """Products as they are.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """

    @property
    def cap(self) -> float | None:
        """None."""
        return None
