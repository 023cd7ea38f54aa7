"""Loss curves: validation loss against what the training had cost by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from algoprog.runs.record import COSTS, DIVERGED, Run

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """One run's validation loss (nats per token) against its cost so far, rows in the order of training.

    `costs` holds one array for each cost axis that was recorded: `flops`, `tokens`, `steps`, `seconds`. Runs of one
    `cohort` may be compared; `axes` and `n_params` are known for algoprog's own records only, and `source` names
    the file for messages.
    """

    variant: str
    model: str
    seed: int
    val_loss: Array
    costs: Mapping[str, Array] = field(repr=False)
    cohort: str = ""
    flags: tuple[str, ...] = ()
    axes: Mapping[str, str] = field(default_factory=dict, repr=False)
    n_params: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        unknown = self.costs.keys() - COSTS.keys()
        if unknown or not self.costs:
            raise ValueError(f"{self}: costs are {sorted(self.costs)}, wanted some of {sorted(COSTS)}")
        lengths = {len(self.val_loss), *map(len, self.costs.values())}
        if len(lengths) > 1:
            raise ValueError(f"{self}: its columns have different lengths {sorted(lengths)}")

    def __str__(self) -> str:
        name = f"{self.variant} ({self.model}, seed {self.seed})"
        return f"{name} in {self.source}" if self.source else name

    @property
    def diverged(self) -> bool:
        """Whether a loss became NaN or infinite, or the trainer ended the run for an exploding loss."""
        return DIVERGED in self.flags or not bool(np.isfinite(self.val_loss).all())

    def cost(self, axis: str) -> Array:
        """The cost column of an axis.

        Raises:
            ValueError: the curve does not have that axis.
        """
        if axis not in self.costs:
            raise ValueError(f"{self} has no column for cost {axis}: ask for one of {', '.join(self.costs)}")
        return self.costs[axis]

    def points(self, axis: str) -> tuple[Array, Array]:
        """Cost and loss of the evaluations where both are finite and above zero: logarithms are taken of them."""
        cost = self.cost(axis)
        keep = (cost > 0) & np.isfinite(cost) & (self.val_loss > 0) & np.isfinite(self.val_loss)
        return cost[keep], self.val_loss[keep]


def curves_from_runs(runs: Iterable[Run]) -> list[Curve]:
    """One curve a run, with the gates' flags and `diverged` where the record says so."""
    return [_curve(run) for run in runs]


def _curve(run: Run) -> Curve:
    """The curve of a record: its annealed end points alone where it has them, for they are what may be compared."""
    record = run.record
    annealed = run.curve["annealed"] > 0
    rows = np.flatnonzero(annealed) if annealed.any() else np.arange(len(annealed))
    rows = rows[np.argsort(run.curve["step"][rows], kind="stable")]
    flags = record.flags if record.status != DIVERGED or DIVERGED in record.flags else (*record.flags, DIVERGED)
    return Curve(
        variant=record.variant,
        model=record.model,
        seed=record.seed,
        val_loss=run.curve["val_loss"][rows],
        costs={axis: run.curve[column][rows] for axis, column in COSTS.items()},
        cohort=record.cohort,
        flags=flags,
        axes=record.axes,
        n_params=record.n_params,
        source=str(run.path),
    )


def common_costs(curves: Iterable[Curve]) -> tuple[str, ...]:
    """The cost axes that every curve has, in the order of `COSTS`."""
    present = [set(curve.costs) for curve in curves]
    return tuple(axis for axis in COSTS if present and all(axis in axes for axes in present))
