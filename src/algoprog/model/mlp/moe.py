"""A mixture of experts whose router is a softmax, kept even by a loss."""

from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.context import Context
from algoprog.model.interface.site import Site
from algoprog.model.mixture import MixtureOfExperts, Routing, check_choice, check_strength, renormalised, unevenness


class SoftmaxMoe(MixtureOfExperts):
    """Each token goes through the `top_k` most probable experts, by their probabilities renormalised to sum 1.

    Args:
        site: where it stands.
        n_experts: experts that the router chooses from.
        top_k: of these, how many a token goes through.
        n_shared: experts that every token goes through besides.
        expansion: hidden width of one expert over model width; with 2 and two experts a token, the matrices that a
            token uses are as many as those of a dense MLP with 4.
        activation: gelu or swiglu.
        balance_loss: factor of the loss that keeps the load even.

    Source: Shazeer et al. 2017 (arXiv 1701.06538), without noise; weights as in Jiang et al. 2024 (Mixtral, arXiv
        2401.04088), section 2.1; shared experts: Dai et al. 2024 (DeepSeekMoE, arXiv 2401.06066), section 3.2; the
        loss: Fedus et al. 2021 (arXiv 2101.03961), equations 4-6.
    """

    def __init__(
        self,
        site: Site,
        *,
        n_experts: int,
        top_k: int,
        n_shared: int,
        expansion: float,
        activation: str,
        balance_loss: float,
    ) -> None:
        super().__init__(site, "moe", n_experts, top_k, n_shared, expansion, activation)
        check_choice("moe", n_experts, top_k)
        check_strength("moe", "balance_loss", balance_loss)
        self.balance_loss = balance_loss

    def route(
        self, logits: Float[Tensor, "batch seq experts"], context: Context
    ) -> tuple[Routing, Float[Tensor, "batch experts"]]:
        """The most probable experts."""
        probabilities = logits.softmax(dim=-1)
        weights, chosen = probabilities.topk(self.top_k)
        load = self.counted(chosen)
        context.add_loss(self.balance_loss * unevenness(probabilities, load))
        return Routing(chosen, renormalised(weights)), load
