"""Ladders whose models differ in more than size and budget."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from algoprog.ceg.curves import DATA_ENTRY, Curve

MIXED_LADDER = "mixed-ladder"

IMMATERIAL = frozenset({"micro_batch_size", "schedule.branches"})
"""Settings that change how a step is computed or how often ends are measured, not what is computed."""


@dataclass(frozen=True)
class Difference:
    """A setting that the models of a ladder do not share; `values` by model, more than one where it was swept."""

    setting: str
    values: dict[str, tuple[str, ...]]


def family(curve: Curve) -> str:
    """A short name that runs share which differ in variant, seed and budget alone; the cohort where none is known."""
    if DATA_ENTRY not in curve.protocol:
        return curve.cohort
    settings = sorted((key, repr(value)) for key, value in curve.protocol.items() if key not in IMMATERIAL)
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def protocol_differences(curves: Sequence[Curve]) -> list[Difference]:
    """The settings in which models differ; curves whose protocol is not known are left out.

    A model that was run under several protocols agrees with another that was run under the same ones.
    """
    models: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        if curve.protocol:
            models.setdefault(curve.model, []).append(dict(curve.protocol))
    settings = sorted({key for protocols in models.values() for p in protocols for key in p} - IMMATERIAL)
    found = []
    for setting in settings:
        values = {model: _values(protocols, setting) for model, protocols in models.items()}
        if len(set(values.values())) > 1:
            found.append(Difference(setting, values))
    return found


def _values(protocols: Sequence[dict[str, Any]], setting: str) -> tuple[str, ...]:
    """The distinct values of a setting as text, `-` where it is not set; a learning-rate grid is its rates."""
    values = [p.get(setting, "-") for p in protocols]
    texts = [", ".join(f"{rate:g}" for rate in value) if isinstance(value, tuple) else str(value) for value in values]
    return tuple(sorted(set(texts)))
