"""A soft bound of the products of queries and keys."""

from algoprog.model.interface.site import Site
from algoprog.model.interface.softmax import Softcap


class TanhSoftcap(Softcap):
    """Scaled products x become cap tanh(x / cap), so that no key outweighs another beyond exp(2 cap).

    Args:
        site: where it stands.
        cap: the bound.

    Raises:
        ValueError: it is not positive.

    Source: Gemma Team 2024 (Gemma 2, arXiv 2408.00118), section 2; Bello et al. 2016 (arXiv 1611.09940).
    """

    def __init__(self, site: Site, *, cap: float) -> None:
        super().__init__(site)
        if cap <= 0:
            raise ValueError(f"softcap=tanh: softcap.cap={cap} must be above 0")
        self.bound = cap

    @property
    def cap(self) -> float | None:
        """The bound."""
        return self.bound
