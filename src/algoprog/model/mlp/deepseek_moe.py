"""A mixture of experts whose router is a sigmoid, kept even by a bias instead of a loss."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.context import Context
from algoprog.model.interface.part import Adapting
from algoprog.model.interface.site import Site
from algoprog.model.mixture import LOAD, MixtureOfExperts, Routing, check_choice, check_strength, renormalised


class DeepSeekMoe(Adapting, MixtureOfExperts):
    """Each token goes through shared experts and the `top_k` with the largest biased scores, sigmoids of the logits.

    The bias decides who is chosen; the weights are the scores without it, renormalised to sum 1. After every step it
    grows by `bias_speed` for experts that had less than an even share of the step's tokens, and falls for those that
    had more. Without the small loss by sequence and the groups of devices of the paper.

    Args:
        site: where it stands.
        n_experts: experts that the router chooses from.
        top_k: of these, how many a token goes through.
        n_shared: experts that every token goes through besides.
        expansion: hidden width of one expert over model width; with 1, three experts a token and a shared one, the
            matrices that a token uses are as many as those of a dense MLP with 4.
        activation: gelu or swiglu.
        bias_speed: what the bias changes by in a step; scores are between 0 and 1.

    Source: DeepSeek-AI 2024 (DeepSeek-V3, arXiv 2412.19437), equations 12-16; the bias: Wang et al. 2024 (arXiv
        2408.15664), algorithm 1; shared experts: Dai et al. 2024 (arXiv 2401.06066), section 3.2.
    """

    expert_bias: Float[Tensor, " experts"]

    wide: ClassVar[tuple[str, ...]] = ("expert_bias",)

    def __init__(
        self,
        site: Site,
        *,
        n_experts: int,
        top_k: int,
        n_shared: int,
        expansion: float,
        activation: str,
        bias_speed: float,
    ) -> None:
        super().__init__(site, "deepseek_moe", n_experts, top_k, n_shared, expansion, activation)
        check_choice("deepseek_moe", n_experts, top_k)
        check_strength("deepseek_moe", "bias_speed", bias_speed)
        self.bias_speed = bias_speed
        self.register_buffer("expert_bias", torch.zeros(n_experts))

    def route(
        self, logits: Float[Tensor, "batch seq experts"], context: Context
    ) -> tuple[Routing, Float[Tensor, "batch experts"]]:
        """The experts with the largest biased scores."""
        scores = logits.sigmoid()
        chosen = (scores + self.expert_bias).topk(self.top_k).indices
        return Routing(chosen, renormalised(scores.gather(-1, chosen))), self.counted(chosen)

    @torch.no_grad()
    def adapt(self, statistics: Mapping[str, Tensor]) -> None:
        """Raise the bias of experts with less than an even share of the step, and lower that of the others."""
        load = statistics[LOAD]
        self.expert_bias += self.bias_speed * (load.mean() - load).sign()
