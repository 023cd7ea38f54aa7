"""Runs as the sweeps of a folder compare them: one that is finished may be another variant in a later sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from algoprog.runs.calls import read_calls
from algoprog.runs.record import Record, Run
from algoprog.runs.store import load_runs

KEYS = ("variant", "cohort", "model", "baseline", "against")
"""What a record says of a comparison, and not of the run itself."""


def view_of(record: Record, seen: Mapping[str, Any]) -> dict[str, Any]:
    """How a sweep sees a finished run where its record says otherwise; empty where it does not."""
    return dict(seen) if any(getattr(record, key) != seen[key] for key in ("variant", "cohort")) else {}


def compared_runs(root: Path) -> list[Run]:
    """Every finished run below `root`, sorted by path, once for each way in which it is compared.

    Raises:
        ValueError: a record, a curve or what a sweep set out to do is damaged, naming the file and the remedy.
    """
    views: dict[Path, Sequence[Mapping[str, Any]]] = {}
    found = []
    for run in load_runs(root):
        folder = run.path.parent
        if folder not in views:
            views[folder] = [view for call in read_calls(folder).calls for view in call.views]
        found += _seen(run, views[folder])
    return found


def _seen(run: Run, views: Sequence[Mapping[str, Any]]) -> list[Run]:
    own = [{key: view[key] for key in KEYS} for view in views if view["run_id"] == run.record.run_id]
    records = [run.record, *(replace(run.record, **view) for view in own)]
    distinct = {(record.variant, record.cohort): record for record in reversed(records)}
    return [replace(run, record=record) for record in reversed(distinct.values())]
