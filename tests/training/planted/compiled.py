"""A compiled model against itself, in a process where no hook checks shapes: `torch.compile` cannot see through one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from algoprog import build
from algoprog.model.interface.reports import Reports
from tests.configs import TINY, part

PARTS = {
    "backbone": "transformer",
    "block": "pre",
    "mixer": "attention",
    "attention": "dense",
    "norm": "ln",
    "final_norm": "ln",
    "pos": "rope",
    "kernel": "flash",
    "qk_norm": "rmsnorm",
    "output_gate": "sigmoid",
    "sinks": "learned",
    "softcap": "none",
    "skip": "x0",
    "head": "untied",
}


def compare() -> None:
    """Fail where loss, statistics or gradients differ, or the model is not compiled as one."""
    config = {axis: part(axis, name) for axis, name in PARTS.items()}
    telling = {**part("mlp", "gelu"), "_target_": "tests.training.planted.telling.TellingMlp"}
    gpt = build.gpt({**config, "mlp": telling}, TINY)
    gpt.init_weights(0)
    x = torch.arange(26).reshape(2, 13)

    def outcome(model: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
        gpt.zero_grad()
        reports = Reports()
        loss = reports.objective(torch.nn.functional.cross_entropy(model(x, reports).flatten(0, 1), x.flatten()))
        loss.backward()
        assert len(reports.losses) == TINY.n_layers
        gradients = [parameter.grad.clone() for parameter in gpt.parameters() if parameter.grad is not None]
        return [loss.detach(), *reports.statistics.values(), *gradients]

    torch.testing.assert_close(outcome(torch.compile(gpt, backend="aot_eager", fullgraph=True)), outcome(gpt))
