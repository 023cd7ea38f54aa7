"""Everything that training changes, held aside and put back."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map

from algoprog.training.metrics import LanguageModelLoss
from algoprog.training.module import LanguageModel
from algoprog.training.reported import Totals
from algoprog.training.state.random_state import random_state, set_random_state


class Snapshot:
    """Whatever is trained within is forgotten: weights, buffers, optimizer, learning rates, random numbers, meters.

    Of a sharded model every process holds its part, always in the memory of the CPU: that of a GPU is planned for
    training alone.
    """

    def __init__(self, trainer: L.Trainer, module: LanguageModel) -> None:
        (self.optimizer,) = trainer.optimizers
        self.module = module

    def __enter__(self) -> None:
        module, optimizer = self.module, self.optimizer
        self.meter = module.train_meter
        module.train_meter = LanguageModelLoss(self.meter.bytes_per_token).to(module.device)
        self.reported, module.reported = module.reported, Totals(module.reported.statistics)
        self.modes = [(part, part.training) for part in module.gpt.modules()]
        self.tensors = {name: _held(value) for name, value in self._tensors().items()}
        self.state = {parameter: tree_map(_held, state) for parameter, state in optimizer.state.items()}
        self.knobs = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        self.random = random_state(module.device)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        module, optimizer = self.module, self.optimizer
        with torch.no_grad():
            for name, value in self._tensors().items():
                _put_back(value, self.tensors[name])
            for parameter in list(optimizer.state):
                if parameter in self.state:
                    optimizer.state[parameter] = tree_map(_put_back, optimizer.state[parameter], self.state[parameter])
                else:
                    del optimizer.state[parameter]
        for group, knobs in zip(optimizer.param_groups, self.knobs, strict=True):
            group.update(knobs)
        for part, training in self.modes:
            part.training = training
        module.train_meter, module.reported = self.meter, self.reported
        set_random_state(self.random, module.device)

    def _tensors(self) -> dict[str, Tensor]:
        """Weights, of a sharded model the shards, and all buffers."""
        return {**self.module.gpt.state_dict(), **dict(self.module.gpt.named_buffers())}


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _held(value: Any) -> Any:
    return _local(value).detach().to("cpu", copy=True) if isinstance(value, Tensor) else value


def _put_back(value: Any, held: Any) -> Any:
    """The tensor with what was held of it; of anything else what was held."""
    if not isinstance(value, Tensor):
        return held
    _local(value).copy_(held)
    return value
