"""Schedule-free AdamW: a running mean of the weights in the place of a decaying rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Averaging, Recipe, check_knobs, groups


class ScheduleFree(Recipe):
    """AdamW's step on one sequence of weights, whose mean is evaluated, with gradients taken between the two.

    Training has the weights between (y); what steps is kept beside them (z); of both the mean (x) can be had, and is
    put in place for every evaluation, then y again, to the bit. Checkpoints hold y and z. The mean weighs steps by the
    square of the largest rate so far: warm-ups count little, and decays of a schedule are not needed
    (`schedule=constant` is the paper's).

    Args:
        lr: peak learning rate.
        betas: share of the mean in where gradients are taken, in the place of momentum, and decay of the mean square.
        eps: added to the root of the mean square.
        weight_decay: of what parts declare as decayed, taken at y.

    Raises:
        ValueError: a knob is out of range.

    Source: Defazio et al. 2024 (arXiv 2405.15682), algorithm 1.
    """

    elementwise: ClassVar[bool] = True

    def __init__(self, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> None:
        self.betas = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        if self.betas[0] == 0:
            raise ValueError(f"optim=schedule_free: the first of optim.betas={list(betas)} must be above 0")
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        knobs = {"lr": self.lr, "betas": self.betas, "eps": self.eps}
        return MeanOfWeights(groups(parameters, weight_decay=self.weight_decay), knobs)

    def state_bytes(self, parameter: Declared) -> int:
        """The weights that step, and a mean square."""
        return 2 * MOMENT_BYTES * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0


class MeanOfWeights(Averaging):
    """The rule over parameter groups, which count their steps."""

    def __init__(self, own: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
        super().__init__(own, {**defaults, "step": 0, "largest_rate": 0.0, "weights": 0.0})

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
            group["largest_rate"] = max(group["lr"], group["largest_rate"])
            weight = group["largest_rate"] ** 2
            group["weights"] += weight
            if moved:
                self._move([*moved], [*moved.values()], group, weight / group["weights"] if weight else 0.0)
        return loss

    def _move(self, y: list[Tensor], gradients: list[Tensor], group: dict[str, Any], new: float) -> None:
        rate, (share, square_beta) = group["lr"], group["betas"]
        squares = [self.state[own].setdefault("square", torch.zeros_like(own)) for own in y]
        z = [self.state[own].setdefault("z", own.detach().clone()) for own in y]
        torch._foreach_mul_(squares, square_beta)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - square_beta)
        sizes = torch._foreach_div(squares, 1 - square_beta ** group["step"])
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, group["eps"])
        updates = torch._foreach_div(gradients, sizes)
        torch._foreach_add_(updates, y, alpha=group["weight_decay"])
        torch._foreach_lerp_(y, z, new)
        torch._foreach_add_(y, updates, alpha=rate * (share * (1 - new) - 1))
        torch._foreach_add_(z, updates, alpha=-rate)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The mean, x = (y - (1 - share) z) / share, in the place of y."""
        own = [(y, group["betas"][0]) for group in self.param_groups for y in group["params"] if "z" in self.state[y]]
        with torch.no_grad():
            before = [y.detach().clone() for y, _ in own]
            for y, share in own:
                y.lerp_(self.state[y]["z"], 1 - 1 / share)
            try:
                yield
            finally:
                for (y, _), held in zip(own, before, strict=True):
                    y.copy_(held)
