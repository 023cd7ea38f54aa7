"""Curves as a table that gives their gains again, to be published beside them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence

from algoprog.axes import SAME_FUNCTION
from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.ceg.tables import columns as names
from algoprog.runs.record import SEARCH


def curves_csv(curves: Sequence[Curve]) -> str:
    """One line an evaluation, in the columns that `read_table` reads; those that no curve fills are left out."""
    lines = [line for curve in curves for line in _lines(curve)]
    header = [name for name in (*names.NAMES,) if any(line.get(name) not in (None, "") for line in lines)]
    header = [name for name in header if name != names.LOSS] + [names.LOSS]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _lines(curve: Curve) -> Iterator[dict[str, object]]:
    """The evaluations of a curve, with every digit that its numbers have."""
    own = {
        names.VARIANT: curve.variant,
        names.MODEL: curve.model,
        names.SEED: curve.seed,
        names.RATE: "" if curve.learning_rate is None else f"{curve.learning_rate:g}",
        names.DEVICE: curve.device,
        names.N_DEVICES: "" if curve.device else curve.hardware.n_devices or "",
        names.ROLE: curve.role if curve.role == SEARCH else "",
        names.TOKENIZER: curve.tokenizer,
        names.TEXT: curve.text,
        names.KERNEL: "+".join(curve.axes[axis] for axis in SAME_FUNCTION if axis in curve.axes),
    }
    for row, loss in enumerate(curve.val_loss.tolist()):
        costs = {COSTS[axis].column: _number(float(cost[row])) for axis, cost in curve.costs.items()}
        end = {} if curve.ends is None else {names.ANNEALED: int(curve.ends[row])}
        bits = {} if curve.bits_per_byte is None else {names.BITS: _known(float(curve.bits_per_byte[row]))}
        yield {**own, **costs, **end, **bits, names.LOSS: _number(loss)}


def _known(value: float) -> str:
    """The number, or nothing where there is none."""
    return "" if math.isnan(value) else _number(value)


def _number(value: float) -> str:
    """A whole number without a point, else the shortest digits that give it again."""
    if math.isnan(value):
        return "nan"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
