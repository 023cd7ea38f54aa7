"""The rows of the literature: advance, gain, what the gain is a ratio of, source and caveat."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from algoprog.literature.equations import PrintedGain, recompute

METRIC_TYPES: dict[str, str] = {
    "train-flops": "training FLOPs to equal loss",
    "unequal-flops": "training FLOPs, at unequal quality",
    "train-steps": "training steps to equal loss",
    "train-tokens": "training tokens to equal loss",
    "train-time": "wall-clock time of training to equal loss, on the same hardware",
    "step-time": "wall-clock time of a training step or token, whatever the loss",
    "kernel-time": "wall-clock time of the attention kernel alone",
    "decode-latency": "wall-clock time of generating a token",
    "gpu-hours": "GPU-hours of whole projects that differ in much else",
    "parameter-count": "parameters at equal steps, taken for FLOPs",
    "law": "training FLOPs to equal loss on two fitted laws",
    "assumed": "nothing: the value was assumed",
}
"""What a gain is a ratio of; gains of two metric types are never averaged."""

CHECKED = {
    "transcription": "the figures were found in a copy of the source's text or code",
    "review": "the figures are those that the review cites; the source itself was not at hand",
    "secondary": "the figures come from a list of published ones; the source itself was not at hand",
}

REFERENCES = {
    "backbone": "transformer",
    "block": "pre",
    "mixer": "attention",
    "attention": "dense",
    "norm": "none",
    "pos": "learned",
    "mlp": "gelu",
    "skip": "none",
    "kernel": "math",
    "optim": "adamw",
    "schedule": "wsd",
}
"""Option of algoprog's baseline on every axis the literature speaks of: what measured gains are gains over."""

TABLES = {"sanderson": "table2.json", "gundlach": "gundlach.json", "field": "field.json"}


@dataclass(frozen=True)
class PublishedGain:
    """One reported gain of one advance at one metric type.

    `published_low` and `published_high` are the range that the review prints for the advance, None where it prints
    none; it may mix metric types. `low` and `high` are this row's own. `axis` and `option` are algoprog's, `reference`
    is what the gain is over, each None where algoprog has no such thing. `also` are gains that follow from further
    raw inputs, by their description.
    """

    table: str
    advance: str
    dependence: Literal["dependent", "independent", "unstated"]
    axis: str | None
    option: str | None
    reference: str | None
    low: PrintedGain
    high: PrintedGain
    published_low: float | None
    published_high: float | None
    metric: str
    source: str
    arxiv: str | None
    location: str
    checked: str
    caveat: str
    also: Mapping[str, float]


def literature_rows(tables: Sequence[str] = tuple(TABLES)) -> list[PublishedGain]:
    """Every row of the tables, in their order.

    Raises:
        ValueError: a table has an unknown name.
    """
    return [_row(name, advance, entry) for name in tables for advance, entry in _entries(name)]


@cache
def load(table: str) -> dict[str, Any]:
    """A data file as it is: citation, advances, and what else belongs to the table."""
    if table not in TABLES:
        raise ValueError(f"no table is called {table!r}: choose among {', '.join(TABLES)}")
    text = (Path(__file__).parent / TABLES[table]).read_text(encoding="utf-8")
    return dict(json.loads(text))


def average(rows: Sequence[PublishedGain]) -> float:
    """Geometric mean of gains of one metric type, each row with the middle of its range.

    Raises:
        ValueError: no row, or rows of more than one metric type.
    """
    if not rows:
        raise ValueError("there is no row to average: name at least one")
    metrics = sorted({row.metric for row in rows})
    if len(metrics) > 1:
        raise ValueError(f"gains in {' and '.join(metrics)} cannot be averaged: choose rows of one metric type")
    return math.exp(sum(math.log(row.low.quoted * row.high.quoted) / 2 for row in rows) / len(rows))


def _entries(table: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(advance, entry) for advance in load(table)["advances"] for entry in advance["values"]]


def _row(table: str, advance: Mapping[str, Any], entry: Mapping[str, Any]) -> PublishedGain:
    low, high = (PrintedGain(**entry[side if side in entry else "value"]) for side in ("low", "high"))
    published = advance["published"] or (None, None)
    return PublishedGain(
        table=table,
        advance=advance["advance"],
        dependence=advance["class"],
        axis=advance["axis"],
        option=advance["option"],
        reference=advance["reference"],
        low=low,
        high=high,
        published_low=published[0],
        published_high=published[1],
        also={other["label"]: recompute(other["inputs"]) for other in entry.get("also", ())},
        **{key: entry[key] for key in ("metric", "source", "arxiv", "location", "checked", "caveat")},
    )
