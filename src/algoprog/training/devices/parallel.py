"""Several devices for one run: replicas (DDP), or shards of the model (FSDP)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy, Strategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from algoprog.model.interface.backbone import Backbone
from algoprog.training.devices.shards import gathered, part

FSDP = "fsdp"


def strategy(name: str, n_devices: int) -> str | Strategy:
    """What Lightning's Trainer takes for a `trainer.strategy`.

    Args:
        name: `fsdp`, or any name that Lightning knows.
        n_devices: of the run, over all nodes.
    """
    return Shards(n_devices) if name == FSDP else name


class Shards(ModelParallelStrategy):
    """FSDP with the checkpoints of every other run: whole tensors in one file, under the numbers of the optimizer.

    Lightning's own would read the file past `CheckpointFiles`, and number the optimizer's state in another order.

    Args:
        n_devices: of the run, over all nodes.
    """

    def __init__(self, n_devices: int) -> None:
        super().__init__(data_parallel_size=n_devices, tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning asks for it after the model is sharded."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The model's tensors on the first process; every process must ask."""
        assert self.lightning_module is not None
        return self._collected(self.lightning_module.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's tensors on the first process; every process must ask."""
        return self._collected(optimizer.state_dict())

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """The file's content, on every process."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Keep of the whole tensors what belongs to this process."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        weights = {name: part(value, own[name]) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(weights, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep of the optimizer's tensors what belongs to this process, a running mean as its parameter."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            numbers = [number for group in state["param_groups"] for number in group["params"]]
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            owners = dict(zip(numbers, parameters, strict=True))
            spread = {
                number: {name: part(value, owners[number]) for name, value in values.items()}
                for number, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": spread})

    def _collected(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state with whole tensors; on further processes, which write no file, with none, to save their memory."""

        def collect(value: Tensor) -> Tensor | None:
            together = whole(value)
            return together if self.is_global_zero else None

        collected: dict[str, Any] = tree_map_only(Tensor, collect, state)
        return collected


def is_sharded(trainer: L.Trainer) -> bool:
    """Whether no device holds the whole model."""
    return isinstance(trainer.strategy, ModelParallelStrategy)


def shard(gpt: Backbone, mesh: DeviceMesh) -> None:
    """Spread parameters, gradients and optimizer state over the devices, gathered layer by layer when needed.

    Source: Zhao et al. 2023 (arXiv 2304.11277), as torch's `fully_shard` does it.
    """
    for layer in gpt.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(gpt, mesh=mesh)


def whole(parameter: Tensor) -> Tensor:
    """The parameter on the CPU, put together where it is sharded; every process must ask."""
    with torch.no_grad():
        return gathered(parameter).cpu()


def common(trainer: L.Trainer, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the names that every process has; every process must ask."""
    if trainer.world_size == 1:
        return tuple(names)
    lists: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(lists, list(names))
    return tuple(name for name in names if all(name in other for other in lists))


def take_threads(trainer: L.Trainer, threads: int | None) -> None:
    """Give each process that Lightning starts its part of the run's CPU threads; torchrun and Slurm deal them out.

    Args:
        trainer: knows who starts the processes.
        threads: of each process; None for an equal part of what this one has.
    """
    place = trainer.strategy.cluster_environment if isinstance(trainer.strategy, ParallelStrategy) else None
    if place is None or place.creates_processes_externally:
        return
    part = threads or max(1, torch.get_num_threads() // trainer.num_devices)
    torch.set_num_threads(part)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(part)))
