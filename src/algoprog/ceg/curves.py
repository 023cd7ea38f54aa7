"""Loss curves: validation loss against what the training had cost by then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from algoprog.axes import DATA, MODEL
from algoprog.ceg.cost import COSTS, RECORDED, UNKNOWN, Hardware, with_derived
from algoprog.ceg.cost.prices import Prices
from algoprog.runs.divergence import exploded
from algoprog.runs.record import COMPARE, CURVE_FILE, DEFAULT_BASELINE, DIVERGED, Record, Run

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEARNING_RATE = "optim.lr"
"""The setting of a protocol that holds the peak learning rate."""

DATA_ENTRY = "data"
"""The entry of a protocol that names the data; algoprog's own records have it."""

BASELINE_ENTRY = "measured against"
"""The entry of a protocol that names the baseline, where it is another than the default one."""

SHARP_DECAY = "sharp-decay"
END_SHARE = 0.95
"""An evaluation is the end of its budget when at least this share of the schedule that leads to it is spent."""

LONGEST = 80
"""Characters of a name that messages repeat."""

AT_PEAK, STABLE_SHARE = 0.999, 0.4
"""A run whose learning rate stays at its peak for this share of the evaluations and ends below it decays sharply."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One run's validation loss against its cost so far, rows in the order of training.

    The loss is in nats per token unless `metric` says otherwise. `costs` holds one array for each cost axis of
    `COSTS` that was recorded or follows from others. Runs of one `cohort` may be compared; `axes` and `n_params`
    are known for algoprog's own records only, and `source` names the file for messages. `protocol` holds the
    settings that are known of the training, each under its key on the command line, `optim.lr` among them.
    `warnings` are flags of the gains that are read off the curve, where they say nothing of the run itself. `ends`
    marks the evaluations that are ends of a budget: at least 95 % of the schedule that leads to them is spent; None
    where the source does not tell, and then the last 5 % of the run's cost count as its end.
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
    protocol: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    role: str = COMPARE  # or a trial of a search, which no comparison takes
    ends: Mask | None = field(default=None, repr=False)
    faults: Mapping[str, str] = field(default_factory=dict, repr=False)  # cost axes that cannot be used, and why
    sizes: tuple[str, ...] = ()  # the models whose ends it joins; empty for the runs of one model
    device: str = ""  # what its seconds were taken on, threads included; empty where the source does not tell
    hardware: Hardware = UNKNOWN  # what its device-hours and their price follow from
    prices: str = ""  # what its dollars follow from; empty where they are its own
    beside: int | None = None  # runs that trained on the machine at the same time; None where unknown
    metric: str = "nats"  # of the losses: a key of `METRICS`
    bits_per_byte: Array | None = field(default=None, repr=False)  # as read, the same evaluations in the other metric
    tokenizer: str = ""  # whose tokens the nats are of; empty where the source does not tell
    text: str = ""  # what was validated on; empty where the source does not tell

    def __post_init__(self) -> None:
        unknown = self.costs.keys() - COSTS.keys()
        if unknown or not self.costs:
            raise ValueError(f"{self}: costs are {sorted(self.costs)}, wanted some of {sorted(COSTS)}")
        lengths = {len(self.val_loss), *map(len, self.costs.values())}
        lengths |= set() if self.ends is None else {len(self.ends)}
        if len(lengths) > 1:
            raise ValueError(f"{self}: its columns have different lengths {sorted(lengths)}")

    def __str__(self) -> str:
        name = f"{_named(self.variant)} ({_named(self.model)}, seed {self.seed})"
        return f"{name} in {self.source}" if self.source else name

    @property
    def diverged(self) -> bool:
        """Whether a loss became NaN or infinite, or the run ended without what it had learned."""
        broken = not bool(np.isfinite(self.val_loss).all())
        return DIVERGED in self.flags or broken or exploded(self.val_loss.tolist())

    @property
    def learning_rate(self) -> float | None:
        """Peak learning rate, None where it is not known as a number."""
        try:
            return float(self.protocol[LEARNING_RATE])
        except (KeyError, TypeError, ValueError):
            return None

    def cost(self, axis: str) -> Array:
        """The cost column of an axis.

        Raises:
            ValueError: the curve does not have that axis.
        """
        if axis in self.faults:
            raise ValueError(self.faults[axis])
        if axis not in self.costs:
            remedy = f"{COSTS[axis].remedy}, or " if axis in COSTS and COSTS[axis].remedy else ""
            raise ValueError(f"{self} has no column for cost {axis}: {remedy}ask for one of {', '.join(self.costs)}")
        return self.costs[axis]

    @property
    def annealed(self) -> bool:
        """Whether every evaluation is known to be the end of a budget of its own."""
        return self.ends is not None and bool(self.ends.all())

    def points(self, axis: str) -> tuple[Array, Array]:
        """Cost and loss of the evaluations where both are finite and above zero: logarithms are taken of them."""
        keep = self._usable(axis)
        return self.cost(axis)[keep], self.val_loss[keep]

    def at_end(self, axis: str) -> Mask:
        """Which of the `points` are ends; where the source does not tell, those in the last 5 % of the cost."""
        cost, _ = self.points(axis)
        if self.ends is not None:
            return self.ends[self._usable(axis)]
        return np.asarray(cost >= END_SHARE * cost[-1]) if len(cost) else np.zeros(0, bool)

    def _usable(self, axis: str) -> Mask:
        cost = self.cost(axis)
        return np.asarray((cost > 0) & np.isfinite(cost) & (self.val_loss > 0) & np.isfinite(self.val_loss))


def _named(text: str) -> str:
    """A name as a sentence can hold it: on one line, and not longer than one."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}.."


class Fault(NamedTuple):
    """What is wrong with a cost column, what to do, and the first evaluation that shows it."""

    what: str
    remedy: str
    row: int


def cost_fault(column: str, cost: Array) -> Fault | None:
    """What is wrong with a cost column; None where costs rise from 0 or above."""
    tests = (
        (np.isnan(cost), f"evaluations without {column}", "fill that column in or delete it"),
        (np.isinf(cost), f"a {column} that is infinite", "correct that column"),
        (np.append(False, cost[1:] <= cost[:-1]), f"values of {column} that repeat or go back", _ORDER),
        (cost < 0, f"a negative {column}", "correct that column"),
    )
    return next((Fault(what, remedy, int(np.argmax(bad))) for bad, what, remedy in tests if bad.any()), None)


_ORDER = "sort its lines, keep one an evaluation, and tell runs apart by their seed"


def curves_from_runs(runs: Iterable[Run]) -> list[Curve]:
    """One curve a run, with the gates' flags and `diverged` where the record says so.

    Raises:
        ValueError: the steps of a curve are missing, repeat or go back; names the file.
    """
    return [_curve(run) for run in runs]


def compared_rows(run: Run) -> NDArray[np.intp]:
    """Rows of a run's curve that may be compared: all, or its annealed end points alone, by step, where it has some."""
    annealed = run.curve["annealed"] > 0
    if annealed.sum() < 2:  # an end by itself has no slope, the curve that leads to it has
        return np.arange(len(annealed))
    rows = np.flatnonzero(annealed)
    return rows[np.argsort(run.curve["step"][rows], kind="stable")]


def _curve(run: Run) -> Curve:
    record, rows = run.record, compared_rows(run)
    if (fault := cost_fault("step", run.curve["step"][rows])) is not None:
        raise ValueError(f"{run.path / CURVE_FILE} has {fault.what}: move its folder away and run it again")
    annealed = run.curve["annealed"] > 0
    recorded = {name: run.curve[column][rows] for name, column in RECORDED.items()}
    costs = {name: _rising(cost) for name, cost in recorded.items()}
    rising = {name: cost for name, cost in costs.items() if not np.isnan(cost).all()}
    hardware = hardware_of(record)
    flags = record.flags if record.status != DIVERGED or DIVERGED in record.flags else (*record.flags, DIVERGED)
    if annealed.sum() < 2 and _decays_sharply(run.curve["lr"]):
        flags = (*flags, SHARP_DECAY)
    return Curve(
        variant=record.variant,
        model=record.model,
        seed=record.seed,
        val_loss=run.curve["val_loss"][rows],
        costs=with_derived(rising, hardware),
        cohort=record.cohort,
        flags=flags,
        axes=record.axes,
        n_params=record.n_params,
        source=str(run.path),
        protocol=_protocol(record),
        role=record.role,
        ends=annealed[rows] | ends_by_rate(run.curve["step"][rows], run.curve["lr"][rows]),
        device=_device(record),
        hardware=hardware,
        beside=record.beside,
        bits_per_byte=run.curve["val_bits_per_byte"][rows],
        tokenizer=tokenizer_of(record),
        text=record.data.val_text_sha256 or "",
    )


def tokenizer_of(record: Record) -> str:
    """The tokenizer of a run; with its knobs where a sweep compares tokenizers, for some share a name."""
    knobs = {key: value for key, value in record.choices.get("tokenizer", {}).items() if key != "option"}
    if not knobs or not any(setting.split(".")[0] == "tokenizer" for setting in record.against):
        return record.data.tokenizer
    return f"{record.data.tokenizer}({','.join(f'{key}={value}' for key, value in knobs.items() if value is not None)})"


def _rising(cost: Array) -> Array:
    """A cost with NaN for every point that a later one, of more training, came at no more than.

    Only seconds do that: a branch that shared the machine with more than the branch after it did ends behind it.
    """
    least_later = np.minimum.accumulate(np.append(cost[1:], np.inf)[::-1])[::-1]
    return np.where(cost < least_later, cost, np.nan)


def _device(record: Record) -> str:
    """Device, number and threads that a run's seconds were taken on; empty where the record does not tell."""
    known = record.environment
    if "device" not in known:
        return ""
    return f"{known['device']} x {known.get('n_devices', 1)}, threads {known.get('threads')}"


def hardware_of(record: Record) -> Hardware:
    """What trained a run, as far as its record tells."""
    known = record.environment
    return Hardware(str(known["device"]), int(known.get("n_devices", 1))) if "device" in known else UNKNOWN


def priced(curves: Iterable[Curve], prices: Prices) -> list[Curve]:
    """The curves with what their device-hours cost.

    Raises:
        ValueError: the table has no price of a device.
    """
    found = []
    for curve in curves:
        costs = with_derived(curve.costs, curve.hardware, prices)
        found.append(replace(curve, costs=costs, prices="" if costs.keys() == curve.costs.keys() else str(prices)))
    return found


def ends_by_rate(progress: Array, rate: Array) -> Mask:
    """Which evaluations of one run are ends by its learning rate; a missing rate counts as the one before it.

    A rate that is held once the warm-up is over makes an end of every evaluation from then on; one that falls makes
    ends of the last 5 % of the run's progress alone.
    """
    known = np.isfinite(rate)
    if not known.any():
        return np.asarray(progress >= END_SHARE * progress[-1])
    peak = float(rate[known].max())
    warm = int(np.argmax(known & (rate >= AT_PEAK * peak)))
    if (rate[warm:][known[warm:]] >= AT_PEAK * peak).all():
        return np.asarray(np.arange(len(rate)) >= warm)
    return np.asarray(progress >= END_SHARE * progress[-1])


def _protocol(record: Record) -> dict[str, Any]:
    """The record's protocol and data; of old records, which have none, what their command line changed."""
    changed = {key: value for key, value in record.context.items() if key.split(".")[0] != "budget"}
    data = f"{record.data.name} {record.data.sha256[:8]}"
    if {setting.split(".")[0] for setting in record.against} & {*DATA}:
        data = f"validated on {(record.data.val_text_sha256 or '')[:8]}"  # all that the arms have in common
    return {**(record.protocol or changed), DATA_ENTRY: data, **_measured_against(record)}


def _measured_against(record: Record) -> dict[str, Any]:
    """What tells runs from those of another baseline, of whose gains they are no part; nothing for the default one."""
    moved = {axis: part for axis, part in record.against.items() if axis in MODEL}
    name = record.baseline + (f" with {json.dumps(moved, sort_keys=True)}" if moved else "")
    return {BASELINE_ENTRY: name} if name != DEFAULT_BASELINE else {}


def _decays_sharply(rate: Array) -> bool:
    """Whether a learning rate was held and then taken down at the end: a knee that no trend is built for."""
    peak = float(rate.max())  # NaN where no rate was recorded
    return peak > 0 and bool(rate[-1] < AT_PEAK * peak) and float((rate >= AT_PEAK * peak).mean()) >= STABLE_SHARE


def common_costs(curves: Iterable[Curve]) -> tuple[str, ...]:
    """The cost axes that every curve has, in the order of `COSTS`."""
    present = [set(curve.costs) for curve in curves]
    return tuple(axis for axis in COSTS if present and all(axis in axes for axes in present))
