"""A mixture of experts: a router, the experts that it chooses for every token, and experts that all tokens share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from algoprog.model.experts import ACTIVATIONS
from algoprog.model.init import Init
from algoprog.model.interface.context import Context
from algoprog.model.interface.mixer import Mlp
from algoprog.model.interface.part import NoFacts
from algoprog.model.interface.reports import Statistic
from algoprog.model.interface.roles import Declared, Role, matrix
from algoprog.model.interface.site import Site, Work

LOAD = "expert_load"
"""Name of the statistic: choices of every expert."""


@dataclass(frozen=True, eq=False)
class Routing:
    """Which experts every token goes through.

    Args:
        chosen: their numbers, all different.
        weights: of what each makes of the token.
    """

    chosen: Int[Tensor, "batch seq top_k"]
    weights: Float[Tensor, "batch seq top_k"]


class MixtureOfExperts(NoFacts, Mlp):
    """The weighted sum of `top_k` of `n_experts` small MLPs, chosen token by token, and of `n_shared` for all tokens.

    No expert has a limit of tokens, and none is dropped. An option says how the scores of the router become a choice,
    and how the load is kept even.

    Args:
        site: where it stands.
        option: of the axis, for messages.
        n_experts: experts that the router chooses from.
        top_k: of these, how many a token goes through.
        n_shared: experts that every token goes through besides.
        expansion: hidden width of one expert over model width.
        activation: of the experts: that of `mlp=gelu` or `mlp=swiglu`.
    """

    def __init__(
        self, site: Site, option: str, n_experts: int, top_k: int, n_shared: int, expansion: float, activation: str
    ) -> None:
        super().__init__(site)
        _check(option, n_experts, top_k, n_shared, activation)
        dims = site.dims
        d_ff = round(expansion * dims.d_model)
        if d_ff < 1:
            raise ValueError(f"mlp={option}: mlp.expansion={expansion} leaves no hidden feature, make it larger")
        experts = ACTIVATIONS[activation]
        self.n_experts, self.top_k = n_experts, top_k
        self.router = nn.Linear(dims.d_model, n_experts, bias=False)
        self.experts = experts(site, n_experts, top_k, d_ff)
        self.shared = nn.ModuleList(experts(site, 1, 1, d_ff) for _ in range(n_shared))
        self.dropout = nn.Dropout(dims.dropout)

    @abstractmethod
    def route(
        self, logits: Float[Tensor, "batch seq experts"], context: Context
    ) -> tuple[Routing, Float[Tensor, "batch experts"]]:
        """What the router's logits choose, and how often every sequence of the batch chose each expert."""

    def forward(self, x: Float[Tensor, "batch seq d_model"], context: Context) -> Float[Tensor, "batch seq d_model"]:
        """The update of the residual stream."""
        routing, load = self.route(self._logits(x), context)
        context.report(self, LOAD, load.sum(dim=0))
        tokens = (part.flatten(0, 1) for part in (x, routing.chosen, routing.weights))
        update = self.experts(*tokens).unflatten(0, x.shape[:2])
        for expert in self.shared:
            update = update + expert.everywhere(x)  # type: ignore[operator]  # a list of modules
        return self.dropout(update.to(x.dtype))  # weights of experts are wider than a stream in bfloat16

    def flops(self, work: Work) -> float:
        """The router; experts speak for themselves."""
        return 2 * self.router.weight.numel() * work.tokens

    def parameters_by_role(self) -> Iterable[Declared]:
        """The router."""
        yield matrix(self.router.weight, role=Role.ROUTER)

    def init_weights(self, init: Init) -> None:
        """The router, like any matrix."""
        init.router(self.router.weight, "router")

    def statistics(self) -> Mapping[str, Statistic]:
        """How often each expert was chosen."""
        return {LOAD: Statistic((self.n_experts,), "sum", load_summary)}

    def counted(self, chosen: Int[Tensor, "batch seq top_k"]) -> Float[Tensor, "batch experts"]:
        """How often each expert was chosen in every sequence."""
        numbers = torch.arange(self.n_experts, device=chosen.device)
        return (chosen.flatten(1)[..., None] == numbers).sum(dim=1).float()

    def _logits(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq experts"]:
        """Scores in at least float32: in bfloat16 too many are equal. Source: Fedus et al. 2021, section 2.4."""
        wide = torch.promote_types(x.dtype, torch.float32)
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(wide), self.router.weight.to(wide))


def unevenness(
    probabilities: Float[Tensor, "batch seq experts"], load: Float[Tensor, "batch experts"]
) -> Float[Tensor, ""]:
    """Over experts, the sum of load times mean probability; 1 where both are even, `n_experts` where all is one's.

    It is taken in every sequence by itself and averaged, so that micro-batches and devices do not change it. The load
    has no gradient.

    Args:
        probabilities: of the router.
        load: choices of each expert in every sequence.

    Source: Fedus et al. 2021 (arXiv 2101.03961), equations 4-6; by sequence, DeepSeek-AI 2024 (arXiv 2412.19437),
        equations 17-20.
    """
    n_experts = load.shape[1]
    shares = load.to(probabilities.dtype) / load.sum(dim=1, keepdim=True)
    return n_experts * (shares * probabilities.mean(dim=1)).sum(dim=1).mean()


def load_summary(load: Tensor) -> dict[str, float]:
    """What is written down of the load: of each expert, and of the fullest, over an even share; how many had none."""
    even = load.sum() / len(load)
    shares = {f"{LOAD}_{number}": float(share) for number, share in enumerate(load / even)}
    return {**shares, f"{LOAD}_max": max(shares.values()), "idle_experts": float((load == 0).sum())}


def renormalised(weights: Float[Tensor, "batch seq top_k"]) -> Float[Tensor, "batch seq top_k"]:
    """Weights of the chosen experts, scaled to sum 1."""
    return weights / weights.sum(dim=-1, keepdim=True)


def check_choice(option: str, n_experts: int, top_k: int) -> None:
    """Refuse what leaves the router without a gradient.

    Raises:
        ValueError: one of several experts is chosen, and its weight is always 1.
    """
    if top_k == 1 < n_experts:
        raise ValueError(
            f"mlp={option}: with mlp.top_k=1 the weight of the only expert chosen is always 1, from which the router"
            " learns nothing: use mlp=switch, whose weight is the router's probability, or a larger mlp.top_k"
        )


def check_strength(option: str, knob: str, strength: float) -> None:
    """Refuse a balance that would drive apart.

    Raises:
        ValueError: it is below 0.
    """
    if strength < 0:
        raise ValueError(f"mlp={option}: mlp.{knob}={strength} must be at least 0")


def _check(option: str, n_experts: int, top_k: int, n_shared: int, activation: str) -> None:
    if n_experts < 1:
        raise ValueError(f"mlp={option}: mlp.n_experts={n_experts} must be at least 1")
    if not 1 <= top_k <= n_experts:
        raise ValueError(f"mlp={option}: mlp.top_k={top_k} must be at least 1 and at most mlp.n_experts={n_experts}")
    if n_shared < 0:
        raise ValueError(f"mlp={option}: mlp.n_shared={n_shared} must be at least 0")
    if activation not in ACTIVATIONS:
        raise ValueError(f"mlp={option}: mlp.activation={activation} must be {' or '.join(ACTIVATIONS)}")
