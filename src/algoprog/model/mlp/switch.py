"""A mixture of experts of which every token goes through one."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Site
from algoprog.model.mixture import MixtureOfExperts, Routing, check_strength, unevenness


class SwitchMlp(MixtureOfExperts):
    """Each token goes through its most probable expert, whose output is multiplied by that probability.

    Without a limit of tokens an expert, so that none is dropped, and without noise.

    Args:
        site: where it stands.
        n_experts: experts that the router chooses from.
        expansion: hidden width of one expert over model width.
        activation: gelu or swiglu.
        balance_loss: factor of the loss that keeps the load even.

    Source: Fedus et al. 2021 (arXiv 2101.03961), equations 1-6.
    """

    def __init__(self, site: Site, *, n_experts: int, expansion: float, activation: str, balance_loss: float) -> None:
        super().__init__(site, "switch", n_experts, 1, 0, expansion, activation)
        check_strength("switch", "balance_loss", balance_loss)
        self.balance_loss = balance_loss

    def route(
        self, logits: Float[Tensor, "batch seq experts"], context: Context
    ) -> tuple[Routing, Float[Tensor, "batch experts"]]:
        """The most probable expert."""
        probabilities = logits.softmax(dim=-1)
        weights, chosen = probabilities.topk(1)
        load = self.counted(chosen)
        context.add_loss(self.balance_loss * unevenness(probabilities, load))
        return Routing(chosen, weights), load
