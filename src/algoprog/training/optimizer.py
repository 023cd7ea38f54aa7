"""Optimizers over the parameter groups that the model's parts declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer


def adamw(
    groups: list[dict[str, Any]], *, lr: float, betas: Sequence[float], eps: float, weight_decay: float
) -> Optimizer:
    """AdamW, fused into one kernel.

    Args:
        groups: the decayed parameters first, the others second.
        lr: peak learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the root of the mean square.
        weight_decay: decoupled, for the first group alone.

    Source: Loshchilov and Hutter 2017 (arXiv 1711.05101).
    """
    decayed, rest = groups
    return torch.optim.AdamW(
        [{**decayed, "weight_decay": weight_decay}, {**rest, "weight_decay": 0.0}],
        lr=lr,
        betas=(betas[0], betas[1]),
        eps=eps,
        fused=True,
    )
