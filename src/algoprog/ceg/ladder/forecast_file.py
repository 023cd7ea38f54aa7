"""Forecasts that are written before the large model is trained, and cannot be changed unseen afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.ladder.ladder import COMING, Ladder, observe
from algoprog.ceg.ladder.predict import Prediction

SCHEMA = "algoprog-forecast/1"
NEAR = 0.05
"""How far ln of what the large run cost may lie from what was forecast."""


@dataclass(frozen=True)
class Stored:
    """A forecast as its file holds it; `at` is what the baseline's run of the large model was to cost."""

    made: str  # UTC
    confidence: float
    baseline: str
    at: float
    rows: tuple[Prediction, ...]
    digest: str


def write_forecast(path: Path, rows: Sequence[Prediction], *, confidence: float, baseline: str, at: float) -> str:
    """Write predictions with their SHA-256, once; returns it.

    Raises:
        ValueError: there are no predictions, or there is such a file.
    """
    if not rows:
        raise ValueError("no variant was run at every model: there is nothing to forecast")
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "algoprog": version("algoprog"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "confidence": confidence,
        "baseline": baseline,
        "at": at,
        "rows": [asdict(row) for row in rows],
    }
    digest = _digest(content)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps({**content, "sha256": digest}, indent=1, ensure_ascii=False) + "\n")
    except FileExistsError:
        raise ValueError(f"{path} is there already, and a forecast is written once: name another file") from None
    return digest


def read_forecast(path: Path) -> Stored:
    """What a file holds.

    Raises:
        ValueError: it is no forecast, of another schema, or was changed after it was written.
        OSError: it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not str(content.get("schema", "")).startswith("algoprog-forecast/"):
        raise ValueError(f"{path} is no forecast: write one with algoprog predict SOURCE --at COST --forecast FILE")
    if content["schema"] != SCHEMA:
        raise ValueError(f"{path} has the schema {content['schema']}, and this version reads {SCHEMA}")
    digest = content.pop("sha256", "")
    if digest != _digest(content):
        raise ValueError(f"{path} was changed after it was written: its contents do not give its sha256")
    try:
        rows = tuple(_row(row) for row in content["rows"])
        return Stored(content["made"], content["confidence"], content["baseline"], content["at"], rows, digest)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no forecast that this version can read: {error}") from None


def score_forecast(stored: Stored, curves: Sequence[Curve]) -> list[Prediction]:
    """The predictions with what was observed since, and how far the law and the naive guesses were off.

    The large model is the one that was named, else the one beyond those that were fitted.

    Raises:
        ValueError: it was not run, not at the cost that was forecast, or as `compute_gains`.
    """
    first = stored.rows[0]
    ladder = observe(curves, _holdout(first, curves), first.cost, stored.baseline)
    if abs(ladder.at - np.log(stored.at)) > NEAR:
        raise ValueError(
            f"the forecast is of a run of {stored.at:.4g} {first.cost}, and that of {ladder.held} cost "
            f"{np.exp(ladder.at):.4g}: nothing was forecast there"
        )
    return [_scored(row, ladder) for row in stored.rows]


def _holdout(row: Prediction, curves: Sequence[Curve]) -> str:
    if row.holdout != COMING:
        return row.holdout
    new = sorted({curve.model for curve in curves} - {model.split("@")[0] for model in row.models})
    if not new:
        raise ValueError(f"no model beyond those that were fitted, {', '.join(row.models)}: train it, then score")
    return new[0] if len(new) == 1 else "largest"


def _scored(row: Prediction, ladder: Ladder) -> Prediction:
    seen = ladder.rungs.get(row.variant, {}).get(ladder.held, [])
    if not seen:
        return replace(row, holdout=ladder.held)
    gain = float(np.mean([end.log_gain for end in seen]))
    loss = float(np.mean([end.arm.points(ladder.cost)[1][-1] for end in seen]))
    return replace(
        row,
        holdout=ladder.held,
        loss_observed=loss,
        ceg_observed=float(np.exp(gain)),
        error=None if row.ceg is None else abs(float(np.log(row.ceg)) - gain),
        error_same_as_largest=abs(row.log_gain_largest - gain),
        error_no_gain=abs(gain),
    )


def _row(found: Mapping[str, Any]) -> Prediction:
    found = {"metric": "nats", **found}  # as all were before there was another
    known = {field.name for field in fields(Prediction)}
    if set(found) != known:
        raise ValueError(f"a row has {', '.join(sorted(set(found) ^ known))} too many or too few")
    return Prediction(**{**found, "models": tuple(found["models"]), "flags": tuple(found["flags"])})


def _digest(content: Mapping[str, Any]) -> str:
    """Of the contents in one spelling: keys sorted, no spaces."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
