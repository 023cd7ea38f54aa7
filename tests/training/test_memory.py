"""What the forward pass keeps for the backward pass, counted on the meta device and measured on this machine's CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from algoprog import build
from algoprog.run.memory import _kept
from algoprog.training.precision import MIXED_BF16, autocast, cast


@pytest.mark.parametrize("precision", ["32", MIXED_BF16, "bf16-true"])
@pytest.mark.parametrize("word", ["kernel=flash", "kernel=math", "norm=ln", "mlp=swiglu", "attention=mqa"])
def test_what_a_layer_keeps_is_counted(compose: Callable[..., dict[str, Any]], word: str, precision: str) -> None:
    config = compose("model=nano", "batch_size=4", "micro_batch_size=4", word, f"precision={precision}")
    dims = build.dims_of(config, build.tokens(config))
    gpt = cast(build.gpt(config, dims), precision)
    weights = {parameter.untyped_storage()._cdata for parameter in gpt.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}
    marks: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    def mark(*_: object) -> None:
        marks.append(sum(storage.nbytes() for address, storage in kept.items() if address not in weights))

    gpt.layers[1].register_forward_pre_hook(mark)
    gpt.layers[1].register_forward_hook(mark)
    with saved_tensors_hooks(keep, lambda tensor: tensor), autocast("cpu", precision):
        gpt(torch.zeros(4, dims.seq_len, dtype=torch.long))
    _, further = _kept(config, dims, cpu=True)
    assert further == pytest.approx(marks[1] - marks[0], rel=0.08)
