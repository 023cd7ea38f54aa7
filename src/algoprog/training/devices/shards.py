"""Tensors that are spread over devices, and whole ones.

torch's module of sharded tensors is imported where one may be met: it takes a second, and pricing a run needs none.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def gathered(value: Tensor) -> Tensor:
    """The whole of a tensor, put together where it is sharded; every process must ask."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def part(value: Any, like: Tensor) -> Any:
    """What this process holds of a whole tensor that is sharded as `like` is; anything else as it came."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)  # all have it
    return value
