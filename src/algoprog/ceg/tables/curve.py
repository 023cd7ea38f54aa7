"""From the evaluations of one run to its curve, with what is wrong of costs that nobody may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from algoprog.ceg.cost import Hardware, with_derived
from algoprog.ceg.curves import LEARNING_RATE, Array, Curve, cost_fault
from algoprog.ceg.tables.evaluations import Key
from algoprog.ceg.tables.runs import RunLines

OURS = re.compile(r"(?P<device>.+) x (?P<n>\d+), threads .+")
"""A device as `curves_csv` writes it."""

BATCH_SIZE = "batch_size"
"""The setting of a protocol that holds the batch, where a table has runs with several."""


def curve_of(
    path: Path, key: Key, run: RunLines, columns: Mapping[str, str], progress: str, *, single: bool = False
) -> Curve:
    """The curve of a run.

    Args:
        path: the file, for messages.
        key: whose run it is.
        run: its evaluations.
        columns: the file's column for each cost axis.
        progress: the axis that tells the order of training.
        single: whether one evaluation is enough, as in a table of end points.

    Raises:
        ValueError: no cost rises along the run, it has one evaluation only, or a loss is not above zero.
    """
    losses = np.array([line.loss for line in run.lines], dtype=float)
    if (low := np.flatnonzero(losses <= 0)).size:
        where = run.lines[int(low[0])].where
        raise ValueError(f"{where}: the loss {losses[low[0]]:g} is not above zero: export it in nats per token")
    costs, faults = _costs(path, key, run, columns)
    if not costs:
        raise ValueError(faults.get(progress) or next(iter(faults.values())))
    protocol: dict[str, Any] = {} if run.rate is None else {LEARNING_RATE: run.rate}
    if run.batch is not None:
        protocol[BATCH_SIZE] = run.batch
    device = "+".join(dict.fromkeys(line.device for line in run.lines if line.device))
    hardware = _hardware(device, run)
    curve = Curve(
        variant=key.variant,
        model=key.model,
        seed=key.seed,
        val_loss=losses,
        costs=with_derived(costs, hardware),
        faults=faults,
        source=str(path),
        cohort=", ".join(f"{value:g}" for value in protocol.values()),
        protocol=protocol,
        ends=run.ends,
        device=device,
        hardware=hardware,
        role=key.role,
        axes={"kernel": key.kernel} if key.kernel else {},
        bits_per_byte=np.array([line.bits for line in run.lines], dtype=float),
        tokenizer="+".join(dict.fromkeys(line.tokenizer for line in run.lines if line.tokenizer)),
        text="+".join(dict.fromkeys(line.text for line in run.lines if line.text)),
    )
    if len(losses) < 2 and not single and not curve.diverged:
        raise ValueError(f"{curve} has one evaluation only: a gain needs a curve, export every evaluation")
    return curve


def _costs(path: Path, key: Key, run: RunLines, columns: Mapping[str, str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The cost axes that rise along the run, and for each other one that has cells what is wrong with it."""
    costs: dict[str, Array] = {}
    faults: dict[str, str] = {}
    for axis, column in columns.items():
        cost = np.array([line.costs[axis] for line in run.lines])
        wrong = next((line.faults[axis] for line in run.lines if axis in line.faults), None)
        if wrong is None and np.isnan(cost).all():
            continue
        if wrong is None and (fault := cost_fault(column, cost)) is not None:
            where = run.lines[fault.row].where
            wrong = f"{where}: {key.variant} ({key.model}, seed {key.seed}) has {fault.what}: {fault.remedy}"
        costs, faults = ({**costs, axis: cost}, faults) if wrong is None else (costs, {**faults, axis: wrong})
    if "tokens" not in columns and "steps" in costs and all(line.batch for line in run.lines):
        batch = np.array([line.batch for line in run.lines], dtype=float)
        costs["tokens"] = np.cumsum(np.diff(costs["steps"], prepend=0.0) * batch)
    return costs, faults


def _hardware(device: str, run: RunLines) -> Hardware:
    """What trained a run, where all its lines say the same; curves of ours name number and threads in one cell."""
    if ours := OURS.fullmatch(device):
        return Hardware(ours["device"], int(ours["n"]))
    numbers = {line.n_devices for line in run.lines}
    return Hardware(device, numbers.pop() if len(numbers) == 1 else None)
