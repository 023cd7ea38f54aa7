"""AdEMAMix: Adam with a second, slower mean of the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_knobs, groups


class AdEMAMix(Recipe):
    """AdamW whose update adds `alpha` times a mean over many more gradients; the same rule for every role.

    Weight and memory of the slow mean grow in during `warmup_steps`, which is a length and no share: runs of every
    budget take the same steps.

    Args:
        lr: peak learning rate.
        betas: decay of the fast mean of the gradient, and of the mean of its square.
        slow_beta: decay of the slow mean, in the end.
        alpha: weight of the slow mean, in the end.
        warmup_steps: optimizer steps until then; 0 for none.
        eps: added to the root of the mean square.
        weight_decay: decoupled, of what parts declare as decayed.

    Raises:
        ValueError: a knob is out of range.

    Source: Pagliardini et al. 2024 (arXiv 2409.03137), algorithm 1 and equation for beta3 in section 3.
    """

    elementwise: ClassVar[bool] = True

    def __init__(
        self,
        *,
        lr: float,
        betas: Sequence[float],
        slow_beta: float,
        alpha: float,
        warmup_steps: int,
        eps: float,
        weight_decay: float,
    ) -> None:
        fast = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        if not 0 < fast[0] <= slow_beta < 1:
            raise ValueError(
                f"optim=ademamix: optim.slow_beta={slow_beta} must be at least the first of optim.betas={list(betas)},"
                " which is above 0, and below 1"
            )
        if not 0 <= alpha < math.inf or warmup_steps < 0:
            raise ValueError(
                f"optim=ademamix: optim.alpha={alpha} and optim.warmup_steps={warmup_steps} must be at least 0"
            )
        self.weight_decay = weight_decay
        self.knobs = {"lr": lr, "betas": fast, "slow_beta": slow_beta, "alpha": alpha, "warmup_steps": warmup_steps}
        self.knobs["eps"] = eps

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        return TwoMeans(groups(parameters, weight_decay=self.weight_decay), self.knobs)

    def state_bytes(self, parameter: Declared) -> int:
        """Three moments."""
        return 3 * MOMENT_BYTES * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0


class TwoMeans(Optimizer):
    """The rule of AdEMAMix over parameter groups."""

    def __init__(self, own: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
        super().__init__(own, {**defaults, "step": 0})

    # torch declares two forms of it.
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step, after the closure where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = {own: own.grad for own in group["params"] if own.grad is not None}
            group["step"] += 1
            if moved:
                self._move([*moved], [*moved.values()], group)
        return loss

    def _move(self, moved: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        step, (fast_beta, square_beta) = group["step"], group["betas"]
        fast, slow, squares = (self._kept(name, moved) for name in ("fast", "slow", "square"))
        alpha, slow_beta = grown(step, group)
        torch._foreach_lerp_(fast, gradients, 1 - fast_beta)
        torch._foreach_lerp_(slow, gradients, 1 - slow_beta)
        torch._foreach_mul_(squares, square_beta)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - square_beta)
        updates = torch._foreach_div(fast, 1 - fast_beta**step)
        torch._foreach_add_(updates, slow, alpha=alpha)
        sizes = torch._foreach_div(squares, 1 - square_beta**step)
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, group["eps"])
        torch._foreach_div_(updates, sizes)
        torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(moved, updates, alpha=-group["lr"])

    def _kept(self, name: str, moved: list[Tensor]) -> list[Tensor]:
        return [self.state[own].setdefault(name, torch.zeros_like(own)) for own in moved]


def grown(step: int, group: dict[str, Any]) -> tuple[float, float]:
    """Weight and decay of the slow mean at a step, counted from 1."""
    length, first, last = group["warmup_steps"], group["betas"][0], group["slow_beta"]
    if step >= length:
        return group["alpha"], last
    share = step / length
    logs = math.log(first), math.log(last)
    decay = math.exp(logs[0] * logs[1] / ((1 - share) * logs[1] + share * logs[0]))
    return share * group["alpha"], min(decay, last)
