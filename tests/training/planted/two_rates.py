"""Two optimizers as one: vectors learn at ten times the rate, and each matrix costs a product a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from algoprog.model.interface.roles import Declared, Role
from algoprog.training.optim.adamw import AdamW
from algoprog.training.optimizer import Combined


class TwoRates(AdamW):
    """Knobs as those of AdamW."""

    def __call__(self, parameters: Sequence[Declared]) -> Any:
        vectors = [own for own in parameters if own.role is Role.VECTOR]
        rest = [own for own in parameters if own.role is not Role.VECTOR]
        fast = AdamW(lr=10 * self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay)
        return Combined([super().__call__(rest), fast(vectors)])

    def flops(self, parameter: Declared) -> float:
        return sum(2 * rows * rows * columns for rows, columns in parameter.matrices())
