"""What a loss is measured in: nats per token, or bits per byte, which tokenizers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from algoprog.axes import DATA
from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.runs.record import Record, Run


@dataclass(frozen=True)
class Metric:
    """A loss by what stands in tables: its name on the command line, its unit, its column of a curve."""

    name: str
    unit: str
    short: str  # behind a number
    column: str


NATS = Metric("nats", "nats per token", "nats", "val_loss")
BITS_PER_BYTE = Metric("bits_per_byte", "bits per byte", "bits per byte", "val_bits_per_byte")
METRICS = {metric.name: metric for metric in (NATS, BITS_PER_BYTE)}


def metric_of(runs: Iterable[Run]) -> Metric:
    """Bits per byte where a sweep compares tokenizers or data, else nats."""
    compared = {setting.split(".")[0] for run in runs for setting in run.record.against}
    return BITS_PER_BYTE if compared & {*DATA} else NATS


def metric_for(curves: Sequence[Curve]) -> Metric:
    """Bits per byte where curves that are compared are of several tokenizers, else nats."""
    return BITS_PER_BYTE if any(len(tokenizers(kin)) > 1 for kin in _kins(curves)) else NATS


def curves_in(curves: Sequence[Curve], metric: Metric) -> list[Curve]:
    """The curves with their losses in a metric; of several tokenizers without the costs that count tokens.

    Raises:
        ValueError: a curve has no such losses, or some that are none.
    """
    if metric is NATS:
        return list(curves)
    mixed = {_key(kin[0]) for kin in _kins(curves) if len(tokenizers(kin)) > 1}
    return [_in_bits(curve, mixed=_key(curve) in mixed) for curve in curves]


def runs_in(runs: Sequence[Run], metric: Metric) -> list[Run]:
    """Records and curves of runs with their losses in a metric, for what is drawn of them."""
    return list(runs) if metric is NATS else [_run_in_bits(run) for run in runs]


def tokenizers(curves: Iterable[Curve]) -> list[str]:
    """The tokenizers of some curves, as far as they are known."""
    return list(dict.fromkeys(curve.tokenizer for curve in curves if curve.tokenizer))


def refuse_other_texts(curves: Sequence[Curve]) -> None:
    """Hold the curves that are compared against one text, and one tokenizer where they are in nats per token.

    Raises:
        ValueError: their losses are none of the same.
    """
    for kin in _kins(curves):
        names, metric = tokenizers(kin), kin[0].metric
        if len(names) > 1 and metric == NATS.name:
            raise ValueError(
                f"nats per token of {' and '.join(names)} are no losses to compare: add --metric {BITS_PER_BYTE.name}"
            )
        if len({curve.text for curve in kin if curve.text}) > 1:
            remedy = f"compare them by --metric {BITS_PER_BYTE.name} on one text, as data.validation=FILE gives them"
            raise ValueError(f"runs of {kin[0].model} were validated on different texts: {remedy}")


def _kins(curves: Iterable[Curve]) -> list[list[Curve]]:
    """The curves by those that are compared with each other."""
    found: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        found.setdefault(_key(curve), []).append(curve)
    return list(found.values())


def _key(curve: Curve) -> tuple[str, str]:
    return curve.model, curve.cohort


def _in_bits(curve: Curve, *, mixed: bool) -> Curve:
    if curve.bits_per_byte is None or np.isnan(curve.bits_per_byte).all() > np.isnan(curve.val_loss).all():
        raise ValueError(f"{curve} has no {BITS_PER_BYTE.column}: add that column, or leave --metric out")
    measured = ~np.isnan(curve.bits_per_byte) | np.isnan(curve.val_loss)  # where a run was lost, it has neither
    bits = curve.bits_per_byte[measured]
    if (bits <= 0).any():
        raise ValueError(f"{curve} has a {BITS_PER_BYTE.column} of {bits[bits <= 0][0]:g}, not above zero: correct it")
    apart = {axis for axis in curve.costs if COSTS[axis].counts_tokens} if mixed else set()
    why = "a token is not the same under other tokenizers: ask for --cost flops or for one that a clock takes"
    return replace(
        curve,
        val_loss=bits,
        metric=BITS_PER_BYTE.name,
        costs={axis: cost[measured] for axis, cost in curve.costs.items() if axis not in apart},
        ends=None if curve.ends is None else curve.ends[measured],
        bits_per_byte=bits,
        faults={**curve.faults, **{axis: f"cost {axis} of {curve}: {why}" for axis in apart}},
    )


def _run_in_bits(run: Run) -> Run:
    loss, step = run.curve[BITS_PER_BYTE.column], run.curve["step"]
    finite = [(float(bits), int(at)) for bits, at in zip(loss, step, strict=True) if np.isfinite(bits)]
    best: tuple[float | None, int | None] = min(finite, default=(None, None))
    record: Record = replace(run.record, final_val_loss=_last(run), min_val_loss=best[0], min_val_step=best[1])
    return replace(run, curve={**run.curve, NATS.column: loss}, record=record)


def _last(run: Run) -> float | None:
    """Bits per byte at the run's last step: in the file its branches, of fewer steps, stand anywhere."""
    at = np.flatnonzero(run.curve["step"] == run.record.steps)
    last = float(run.curve[BITS_PER_BYTE.column][at[-1]]) if len(at) else np.nan
    return last if np.isfinite(last) else None
