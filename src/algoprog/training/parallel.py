"""Several devices for one run: replicas (DDP), or shards of the model (FSDP)."""

from __future__ import annotations

import torch
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from algoprog.model.gpt import GPT

FSDP = "fsdp"


def strategy(name: str, n_devices: int) -> str | Strategy:
    """What Lightning's Trainer takes for a `trainer.strategy`.

    Args:
        name: `fsdp`, or any name that Lightning knows.
        n_devices: of the run, over all nodes.
    """
    return ModelParallelStrategy(data_parallel_size=n_devices, tensor_parallel_size=1) if name == FSDP else name


def shard(gpt: GPT, mesh: DeviceMesh) -> None:
    """Spread parameters, gradients and optimizer state over the devices, gathered layer by layer when needed.

    Source: Zhao et al. 2023 (arXiv 2304.11277), as torch's `fully_shard` does it.
    """
    for block in gpt.blocks:
        assert isinstance(block, nn.Module)
        fully_shard(block, mesh=mesh)
    fully_shard(gpt, mesh=mesh)


def whole(parameter: Tensor) -> Tensor:
    """The parameter on the CPU, put together where it is sharded; every process must ask."""
    with torch.no_grad():
        return (parameter.full_tensor() if isinstance(parameter, DTensor) else parameter).cpu()
