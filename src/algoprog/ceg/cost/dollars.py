"""What the device-hours cost to rent, by a dated price table that is given to the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.ceg.cost.interface import Cost, Hardware

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from algoprog.ceg.cost.interface import Columns
    from algoprog.ceg.cost.prices import Prices


def derive(costs: Columns, hardware: Hardware, prices: Prices | None) -> NDArray[np.float64] | None:
    """Device-hours times the price of one.

    Raises:
        ValueError: the table has no price of the device.
    """
    if prices is None or not hardware.device or "device_hours" not in costs:
        return None
    return costs["device_hours"] * prices.of(hardware.device)


COST = Cost(
    rank=5,
    name="dollars",
    title="dollars",
    symbol="$",
    column="dollars",
    aliases=("usd", "cost_usd", "cost_dollars", "dollar_cost"),
    metric="dollars",
    measured=True,
    derive=derive,
    remedy="give --prices FILE, and for curves from elsewhere the columns device and device_hours",
)
