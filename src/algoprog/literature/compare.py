"""Measured gains joined with the literature by option, and what keeps the two from being compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS
from algoprog.literature.rows import REFERENCES, PublishedGain, literature_rows
from algoprog.runs.record import BASELINE

if TYPE_CHECKING:
    from algoprog.ceg.gains import Gain

MEASURED_METRICS = {cost.name: cost.metric for cost in COSTS.values()}
"""Metric type of a measured gain, by its cost axis."""

_CLOCKED = [cost.name for cost in COSTS.values() if cost.measured]
_TIMED = ("train-time", "step-time", "kernel-time", "decode-latency", "gpu-hours")

REASONS = {
    "metric-differs": "the two are ratios of different things",
    "other-reference": "the literature's gain is over another option than the measured one's baseline has",
    "other-knobs": "the variant changes knobs of the option",
    "no-interval": "the measured gain has no interval, so agreement cannot be judged",
    "no-literature": "no reported gain is for this option or combination",
    "not-measured": "no measured gain is for this option",
}


@dataclass(frozen=True)
class Comparison:
    """A reported gain and a measured one for the same option; one of them is None where there is none.

    `agrees` says whether the measured interval meets the reported range; None where a flag forbids the question.
    """

    row: PublishedGain | None
    gain: Gain | None
    flags: tuple[str, ...]
    agrees: bool | None

    @property
    def comparable(self) -> bool:
        """Whether both are gains of the same thing over the same thing."""
        return not {"metric-differs", "other-reference", "other-knobs", "no-literature", "not-measured"} & {*self.flags}


def compare(
    measured: Sequence[Gain], rows: Sequence[PublishedGain] | None = None, *, baseline: str = BASELINE
) -> list[Comparison]:
    """Every row with every measured gain of its option, then the measured gains that no row is for.

    The gains are over `baseline`, whose own are left out, and so are those without a value. The rows default to all of
    the literature.
    """
    rows = literature_rows() if rows is None else rows
    gains = [gain for gain in measured if gain.variant != baseline and gain.ceg is not None]
    result = []
    for row in rows:
        found = [gain for gain in gains if row.option is not None and _option(gain.variant) == row.option]
        result += [_compare(row, gain, baseline) for gain in found] or [Comparison(row, None, ("not-measured",), None)]
    options = {row.option for row in rows}
    others = [gain for gain in gains if _option(gain.variant) not in options]
    return [*result, *(Comparison(None, gain, ("no-literature",), None) for gain in others)]


def closest(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """One comparison for each row, variant and model: of the same metric type if there is one, else of a near one.

    Seconds are near to other times and GPU-hours, FLOPs to the rest. Of a bound and an auxiliary value the auxiliary
    one is kept.
    """
    best: dict[tuple[int, str, str], Comparison] = {}
    for place, comparison in enumerate(comparisons):
        row, gain = comparison.row, comparison.gain
        key = (id(row), gain.variant, gain.model) if gain else (place, "", "")
        if key not in best or _rank(comparison) < _rank(best[key]):
            best[key] = comparison
    return list(best.values())


def _rank(comparison: Comparison) -> tuple[bool, int, bool]:
    gain = comparison.gain
    if gain is None:
        return False, 0, False
    timed = comparison.row is not None and comparison.row.metric in _TIMED
    costs = [*_CLOCKED, *MEASURED_METRICS] if timed else list(MEASURED_METRICS)
    place = costs.index(gain.cost) if gain.cost in costs else len(costs)
    return "metric-differs" in comparison.flags, place, gain.kind == "bound"


def _compare(row: PublishedGain, gain: Gain, baseline: str) -> Comparison:
    flags = []
    if MEASURED_METRICS.get(gain.cost) != row.metric:
        flags.append("metric-differs")
    if not _same_reference(row, baseline):
        flags.append("other-reference")
    if gain.variant != row.option:
        flags.append("other-knobs")
    if gain.kind != "bound" and (gain.ci_low is None or gain.ci_high is None):
        flags.append("no-interval")
    return Comparison(row, gain, tuple(flags), None if flags else _meets(row, gain))


def _same_reference(row: PublishedGain, baseline: str) -> bool:
    """Whether a gain over a baseline of this name is one over the row's own reference, as far as that is known."""
    ours = baseline == BASELINE and (row.axis is None or row.reference == REFERENCES[row.axis])
    return ours or baseline == row.reference


def _meets(row: PublishedGain, gain: Gain) -> bool:
    low = 0.0 if gain.ci_low is None else gain.ci_low
    high = math.inf if gain.ci_high is None else gain.ci_high
    return low <= row.high.quoted + row.high.resolution / 2 and high >= row.low.quoted - row.low.resolution / 2


def _option(variant: str) -> str:
    """The option that a variant's name holds, without the knobs in brackets."""
    return variant.split("(", maxsplit=1)[0] if "+" not in variant else variant
