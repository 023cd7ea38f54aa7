"""AdamW: the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_knobs, groups


class AdamW(Recipe):
    """Adam with decoupled weight decay, fused into one kernel; the same rule for every role.

    Args:
        lr: peak learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the root of the mean square.
        weight_decay: decoupled, of what parts declare as decayed.

    Raises:
        ValueError: a knob is out of range.

    Source: Loshchilov and Hutter 2017 (arXiv 1711.05101).
    """

    elementwise: ClassVar[bool] = True

    def __init__(self, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> None:
        self.betas = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        decayed_and_rest = groups(parameters, weight_decay=self.weight_decay)
        return torch.optim.AdamW(decayed_and_rest, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)

    def state_bytes(self, parameter: Declared) -> int:
        """Two moments."""
        return 2 * MOMENT_BYTES * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0
