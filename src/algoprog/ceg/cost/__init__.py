"""What training costs, one file an axis: each module of this folder that defines a `COST` adds it to `COSTS`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from algoprog.ceg.cost.interface import Cost, Hardware

if TYPE_CHECKING:
    from algoprog.ceg.cost.interface import Columns
    from algoprog.ceg.cost.prices import Prices

UNKNOWN = Hardware()
"""What trained a run of a source that does not tell."""

__all__ = ["COSTS", "RECORDED", "UNKNOWN", "Cost", "Hardware", "beside", "with_derived"]


def _found() -> dict[str, Cost]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    costs: list[Cost] = [module.COST for module in modules if hasattr(module, "COST")]
    return {cost.name: cost for cost in sorted(costs, key=lambda cost: cost.rank)}


COSTS = _found()
"""Every cost axis by its name, in the order of their ranks."""

RECORDED = {cost.name: cost.column for cost in COSTS.values() if cost.derive is None}
"""Column of a record's curve by the axis that it holds."""


def beside(name: str) -> str:
    """The axis that is shown beside another: a clock's beside what is counted, and the other way round."""
    return next(other.name for other in COSTS.values() if other.measured is not COSTS[name].measured)


def with_derived(costs: Columns, hardware: Hardware, prices: Prices | None = None) -> Columns:
    """The costs with those that follow from them, in the order of their ranks; what is there already stays.

    Raises:
        ValueError: the price table has no price of the device.
    """
    found = dict(costs)
    for cost in COSTS.values():
        if cost.name not in found and cost.derive is not None:
            derived = cost.derive(found, hardware, prices)
            found |= {} if derived is None else {cost.name: derived}
    return {name: found[name] for name in COSTS if name in found}
