"""No positions: the order is known only through the causal mask."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.part import NoParameters, Position
from algoprog.model.interface.places import Places


class NoPosition(NoParameters, Position):
    """Both hooks are the identity.

    Source: Haviv et al. 2022 (arXiv 2203.16634).
    """

    def embed(self, x: Float[Tensor, "batch new d_model"], places: Places) -> Float[Tensor, "batch new d_model"]:
        """Same tensor."""
        return x

    def rotate(
        self, q: Float[Tensor, "batch heads new d_head"], k: Float[Tensor, "batch kv_heads new d_head"], places: Places
    ) -> tuple[Float[Tensor, "batch heads new d_head"], Float[Tensor, "batch kv_heads new d_head"]]:
        """Same tensors."""
        return q, k
