"""How a batch is cut so that the memory takes it: by estimate on a CPU, by trial on a GPU.

The batch, and with it the loss, stays the same: gradients are accumulated over its parts. Sums are rounded in another
order, and dropout, whose masks are drawn part by part, draws others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch

from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports
from algoprog.run.memory import machine_memory, on_cpu
from algoprog.run.spec import RunSpec
from algoprog.training.cross_entropy import cross_entropy, losses_ahead
from algoprog.training.devices.hardware import Gpus
from algoprog.training.precision import autocast, cast

BUCKET_BYTES = 4
"""Under several devices a second copy of the gradient, in the buckets in which it is exchanged."""


class NoRoomError(ValueError):
    """A run that no cut of its batch makes small enough; the message says what it needs and what there is."""


def sizes(spec: RunSpec, most: int | None = None) -> Iterator[int]:
    """The micro-batches that a run may have, the largest first: the typed one alone, or the divisors of its share."""
    if not spec.auto_micro_batch:
        yield spec.micro_batch_size
        return
    share = spec.micro_batch_size * spec.accumulate
    yield from (size for size in range(min(most or share, share), 0, -1) if share % size == 0)


def fitted(spec: RunSpec, gpus: Gpus, room: float | None) -> RunSpec:
    """The run with the largest micro-batch that memory takes by estimate; as it is where it trains on a GPU.

    Args:
        spec: the run.
        gpus: those that it will see.
        room: bytes of the machine that it may take; None where nobody knows.

    Raises:
        NoRoomError: not even the smallest fits.
    """
    if room is None or not on_cpu(spec.config, gpus):
        return spec
    for size in sizes(spec):
        cut = spec.cut(size)
        if machine_memory(cut, gpus) <= room:
            return cut
    raise NoRoomError(_no_room(cut, machine_memory(cut, gpus), room))


def least_memory(spec: RunSpec, gpus: Gpus) -> float:
    """Bytes of the machine that a run needs with its smallest micro-batch, by estimate."""
    return machine_memory(spec.cut(min(sizes(spec))), gpus)


def tried(spec: RunSpec, gpt: Backbone, device: torch.device, most: int | None = None) -> RunSpec:
    """The run with the largest micro-batch whose forward and backward pass go through on a device.

    Args:
        spec: the run.
        gpt: its model; copied, and left as it is.
        device: whose memory it is about.
        most: the largest to try; None for the device's whole share of the batch.

    Raises:
        NoRoomError: not even the smallest goes through.
    """
    for size in sizes(spec, most):
        if _goes_through(spec.cut(size), gpt, device):
            return spec.cut(size)
    raise NoRoomError(
        f"{spec.variant} of {spec.model} does not fit into the memory of the device even with micro_batch_size={size}:"
        " use a smaller model or model.seq_len, precision=bf16-mixed, or several devices with trainer=fsdp"
    )


def _goes_through(spec: RunSpec, gpt: Backbone, device: torch.device) -> bool:
    """Whether a forward and backward pass find memory, beside what the optimizer will hold."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        try:
            _pass(spec, gpt, device)
        except torch.OutOfMemoryError:
            return False
        finally:
            if on_gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
    return True


def _pass(spec: RunSpec, gpt: Backbone, device: torch.device) -> None:
    precision, reports = spec.config["precision"], Reports()
    model = cast(copy.deepcopy(gpt).to(device).train(), precision)
    copies = BUCKET_BYTES if spec.n_devices > 1 else 0
    beside = spec.optimizer_bytes + copies * spec.n_params
    held = torch.empty(int(beside), dtype=torch.uint8, device=device)
    batch = torch.zeros(spec.micro_batch_size, model.dims.seq_len, dtype=torch.long, device=device)
    with autocast(device.type, precision):
        of_next = cross_entropy(model(batch, reports).flatten(0, 1), batch.flatten())
        loss = sum(losses_ahead(reports.ahead, batch), start=of_next)
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    del held


def _no_room(spec: RunSpec, need: float, room: float) -> str:
    how = f"micro_batch_size={spec.micro_batch_size}"
    remedy = "use a smaller model or model.seq_len, or a machine with more memory"
    if not spec.auto_micro_batch and spec.micro_batch_size > 1:
        remedy = f"use micro_batch_size=auto, {remedy.removeprefix('use ')}"
    return (
        f"{spec.variant} of {spec.model} needs {need / 1e9:.1f} GB of memory with {how} and no other run beside it, and"
        f" {room / 1e9:.1f} GB are free: {remedy}"
    )
