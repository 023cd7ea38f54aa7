"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_knobs, groups


class Lion(Recipe):
    """Every element moves by the learning rate, in the direction of a mean of gradient and momentum.

    Args:
        lr: peak learning rate; a third to a tenth of AdamW's, as every element moves by it in full.
        betas: of the mean whose sign is taken, and of the momentum that is kept.
        weight_decay: decoupled, of what parts declare as decayed; 3 to 10 times AdamW's keeps their product.

    Raises:
        ValueError: a knob is out of range.

    Source: Chen et al. 2023 (arXiv 2302.06675), algorithm 2.
    """

    elementwise: ClassVar[bool] = True

    def __init__(self, *, lr: float, betas: Sequence[float], weight_decay: float) -> None:
        self.betas = check_knobs(lr=lr, betas=betas, eps=0.0, weight_decay=weight_decay)
        self.lr, self.weight_decay = lr, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        return SignMomentum(groups(parameters, weight_decay=self.weight_decay), {"lr": self.lr, "betas": self.betas})

    def state_bytes(self, parameter: Declared) -> int:
        """One momentum."""
        return MOMENT_BYTES * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0


class SignMomentum(Optimizer):
    """The rule of Lion over parameter groups, each with its `lr`, `betas` and `weight_decay`."""

    def __init__(self, own: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
        super().__init__(own, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # as torch's own
        """One step, after the closure where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = {own: own.grad for own in group["params"] if own.grad is not None}
            if moved:
                self._move([*moved], [*moved.values()], group)
        return loss

    def _move(self, moved: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        kept, mean = group["betas"][1], group["betas"][0]
        for own in moved:
            if "momentum" not in self.state[own]:
                self.state[own]["momentum"] = torch.zeros_like(own)
        momenta = [self.state[own]["momentum"] for own in moved]
        torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
        updates = torch._foreach_lerp(gradients, momenta, mean)
        torch._foreach_sign_(updates)
        torch._foreach_add_(moved, updates, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - kept)
