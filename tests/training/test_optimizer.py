"""AdamW over the groups that the parts declare."""

from __future__ import annotations

import torch

from algoprog import build
from tests.configs import compose, gpt

LR, DECAY = 0.01, 0.5


def test_only_matrices_decay() -> None:
    """With a gradient of zero, one update is the decay alone: p <- p (1 - lr * weight_decay)."""
    model = gpt(norm="ln")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    config = compose(f"optim.lr={LR}", f"optim.weight_decay={DECAY}")
    optimizer = build.construct(config, "optim")(model.parameters_by_role())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 1 - LR * DECAY if parameter.ndim == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


def test_knobs_arrive() -> None:
    config = compose("optim.lr=0.5", "optim.betas=[0.7,0.8]", "optim.eps=1e-3", "optim.weight_decay=0.2")
    optimizer = build.construct(config, "optim")(gpt().parameters_by_role())
    decayed, rest = optimizer.param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.2, 0.0)
    for group in optimizer.param_groups:
        assert (group["lr"], tuple(group["betas"]), group["eps"]) == (0.5, (0.7, 0.8), 1e-3)
