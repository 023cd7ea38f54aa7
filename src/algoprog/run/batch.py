"""How a batch is shared by devices, and cut into micro-batches of a typed size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from algoprog.training.devices.hardware import Gpus


def devices_of(config: dict[str, Any], gpus: Gpus | None) -> int:
    """Devices that share the batch, over all nodes.

    Raises:
        ValueError: they are not there, or cannot share it equally.
    """
    from algoprog.training.devices.hardware import count_devices, gpus_here

    batch, trainer = config["batch_size"], config["trainer"]
    devices = count_devices(trainer["accelerator"], trainer["devices"], gpus or gpus_here()) * trainer["num_nodes"]
    if batch < 1:
        raise ValueError(f"batch_size={batch} must be at least 1")
    if batch % devices:
        raise ValueError(f"batch_size={batch} cannot be shared by {devices} devices: use a multiple of {devices}")
    return int(devices)


def check_whole(config: dict[str, Any], devices: int) -> None:
    """Refuse to cut a batch that a part of the model takes as a whole.

    Raises:
        ValueError: it would be cut.
    """
    batch, micro = config["batch_size"], config["micro_batch_size"]
    if micro == batch and devices == 1:
        return
    how = f"micro_batch_size={micro}" if devices == 1 else f"{devices} devices"
    raise ValueError(
        f"norm=batchnorm normalises over the whole batch of {batch} sequences, and {how} would cut it: use one device"
        f" and micro_batch_size={batch} or auto, or choose another norm"
    )


def accumulated(config: dict[str, Any], devices: int) -> int:
    """Micro-batches that one device accumulates in a step.

    Raises:
        ValueError: the batch cannot be cut into equal micro-batches.
    """
    batch, micro = config["batch_size"], config["micro_batch_size"]
    if not isinstance(micro, int) or isinstance(micro, bool) or micro < 1:
        raise ValueError(f"micro_batch_size={micro} must be at least 1, or auto")
    if batch % (micro * devices):
        raise ValueError(
            f"batch_size={batch} is not a multiple of micro_batch_size={micro} times {devices} device(s):"
            f" use for example micro_batch_size={_largest_divisor(batch, devices, micro)}"
        )
    return int(batch // (micro * devices))


def _largest_divisor(batch: int, devices: int, at_most: int) -> int:
    share = batch // devices
    return max((n for n in range(1, at_most + 1) if share and share % n == 0), default=1)
