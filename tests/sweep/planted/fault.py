"""An attention that computes what dense attention does, and goes wrong in training."""

from __future__ import annotations

import math

from fate import meet

from algoprog.model.attention.dense import DenseAttention


class Fault(DenseAttention):
    """Goes wrong in the way `kind` names at forward pass number `at`; `spoil` makes the loss NaN instead."""

    def __init__(self, site, parts, *, kind: str, at: int) -> None:
        super().__init__(site, parts)
        self.kind, self.left = kind, at

    def forward(self, *args, **kwargs):
        self.left -= 1
        out = super().forward(*args, **kwargs)
        if self.left > 0:
            return out
        if self.kind == "spoil":
            return out * math.nan
        meet(self.kind)
        return out
