"""Literature and measured gains as JSON and CSV: one object or line for each reported gain with each measured one."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from algoprog.literature.compare import MEASURED_METRICS, Comparison
from algoprog.literature.rows import PublishedGain

if TYPE_CHECKING:
    from algoprog.ceg.gains import Gain

ROW_KEYS = (
    "table",
    "advance",
    "class",
    "axis",
    "option",
    "reference",
    "ceg_low",
    "ceg_high",
    "recomputed_low",
    "recomputed_high",
    "published_low",
    "published_high",
    "metric",
    "source",
    "arxiv",
    "location",
    "checked",
    "caveat",
    "inputs_low",
    "inputs_high",
)
"""Keys about the reported gain; all null where a measured gain has none beside it."""

MEASURED_KEYS = ("variant", "model", "cost", "kind", "ceg", "ci_low", "ci_high", "measured_metric")
"""Keys about the measured gain; all null where a reported gain has none beside it."""

KEYS = (*ROW_KEYS, *MEASURED_KEYS, "flags", "agrees")
"""Keys of every object, columns of every line; `flags` and `agrees` are those of `Comparison`."""


def literature_json(comparisons: Sequence[Comparison]) -> str:
    """A list of objects with exactly the keys `KEYS`; null for what does not exist."""
    return json.dumps([_plain(comparison) for comparison in comparisons], indent=2, allow_nan=False) + "\n"


def literature_csv(comparisons: Sequence[Comparison]) -> str:
    """One line a comparison; empty cells for what does not exist, flags separated by spaces, raw inputs as JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, KEYS, lineterminator="\n")
    writer.writeheader()
    for comparison in comparisons:
        cells = _plain(comparison)
        inputs = {key: json.dumps(cells[key]) for key in ("inputs_low", "inputs_high") if cells[key] is not None}
        writer.writerow({**cells, **inputs, "flags": " ".join(comparison.flags)})
    return text.getvalue()


def _plain(comparison: Comparison) -> dict[str, Any]:
    row = dict.fromkeys(ROW_KEYS) if comparison.row is None else _row(comparison.row)
    gain = dict.fromkeys(MEASURED_KEYS) if comparison.gain is None else _measured(comparison.gain)
    values = {**row, **gain, "flags": list(comparison.flags), "agrees": comparison.agrees}
    return {key: values[key] for key in KEYS}


def _row(row: PublishedGain) -> dict[str, Any]:
    derived = {
        "class": row.dependence,
        "ceg_low": row.low.quoted,
        "ceg_high": row.high.quoted,
        "recomputed_low": row.low.recomputed,
        "recomputed_high": row.high.recomputed,
        "inputs_low": row.low.inputs,
        "inputs_high": row.high.inputs,
    }
    return {**{key: getattr(row, key) for key in ROW_KEYS if key not in derived}, **derived}


def _measured(gain: Gain) -> dict[str, Any]:
    values = {key: getattr(gain, key) for key in MEASURED_KEYS if key != "measured_metric"}
    finite = {key: None if isinstance(x, float) and not math.isfinite(x) else x for key, x in values.items()}
    return {**finite, "measured_metric": MEASURED_METRICS.get(gain.cost)}
