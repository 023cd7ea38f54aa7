"""Hours of training times the devices that trained: GPU-hours where these are GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.ceg.cost.interface import Cost, Hardware

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from algoprog.ceg.cost.interface import Columns
    from algoprog.ceg.cost.prices import Prices

SECONDS_AN_HOUR = 3600.0


def derive(costs: Columns, hardware: Hardware, prices: Prices | None) -> NDArray[np.float64] | None:
    """Seconds times the number of devices, in hours."""
    if "seconds" not in costs or hardware.n_devices is None:
        return None
    return costs["seconds"] * (hardware.n_devices / SECONDS_AN_HOUR)


COST = Cost(
    rank=4,
    name="device_hours",
    title="device-hours",
    symbol="dh",
    column="device_hours",
    aliases=("gpu_hours", "tpu_hours", "accelerator_hours", "chip_hours"),
    metric="device-hours",
    measured=True,
    derive=derive,
    remedy="give the seconds and, in a column n_devices, the number of devices that trained",
)
