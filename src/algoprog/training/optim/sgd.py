"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_rates, groups


class Sgd(Recipe):
    """Steps along the running sum of gradients; the same rule for every role.

    Args:
        lr: peak learning rate; of another size than those of optimizers that scale their updates.
        momentum: decay of the running sum; 0 keeps none.
        nesterov: look ahead by the gradient itself.
        weight_decay: of what parts declare as decayed; added to the gradient.

    Raises:
        ValueError: a knob is out of range, or Nesterov's rule has no momentum.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """

    def __init__(self, *, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
        check_rates(lr=lr, weight_decay=weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"optim=sgd: optim.momentum={momentum} must be at least 0 and below 1")
        if nesterov and momentum == 0:
            raise ValueError("optim=sgd: optim.nesterov=true needs optim.momentum above 0")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        decayed_and_rest = groups(parameters, weight_decay=self.weight_decay)
        return torch.optim.SGD(decayed_and_rest, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True)

    def state_bytes(self, parameter: Declared) -> int:
        """One running sum, where there is momentum."""
        return MOMENT_BYTES * parameter.parameter.numel() if self.momentum else 0

    def flops(self, parameter: Declared) -> float:
        """Elementwise."""
        return 0
