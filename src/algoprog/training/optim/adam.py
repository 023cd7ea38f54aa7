"""Adam, with weight decay as a penalty on the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_knobs, groups


class Adam(Recipe):
    """Adam, whose weight decay goes through its running means, as that of a penalty on the loss does.

    Args:
        lr: peak learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the root of the mean square.
        weight_decay: of what parts declare as decayed; added to the gradient.

    Raises:
        ValueError: a knob is out of range.

    Source: Kingma and Ba 2014 (arXiv 1412.6980), algorithm 1.
    """

    elementwise: ClassVar[bool] = True

    def __init__(self, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> None:
        self.betas = check_knobs(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.lr, self.eps, self.weight_decay = lr, eps, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        decayed_and_rest = groups(parameters, weight_decay=self.weight_decay)
        return torch.optim.Adam(decayed_and_rest, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)

    def state_bytes(self, parameter: Declared) -> int:
        """Two moments."""
        return 2 * MOMENT_BYTES * parameter.parameter.numel()

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0
