"""Runs from W&B, the same as from their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from algoprog.runs.record import CURVE_COLUMNS, NEEDED_COLUMNS, OPTIMIZER_FLOPS, Record, Run
from algoprog.runs.store import whole_curve
from algoprog.tracking.session import RECORD_COLUMN, has_key, quiet

if TYPE_CHECKING:
    from wandb.apis.public import Run as WandbRun


def read(path: str) -> list[Run]:
    """The finished runs, trials of searches among them, of `ENTITY/PROJECT` or `ENTITY/PROJECT/GROUP`.

    Raises:
        ValueError: no key, no access, no such project, or no run with algoprog's columns; with the remedy.
    """
    entity, project, group = (*path.split("/", 2), "", "")[:3]
    if not entity or not project:
        raise ValueError(f"{path} is no ENTITY/PROJECT or ENTITY/PROJECT/GROUP: use for example my-team/algoprog")
    if not has_key():
        raise ValueError("reading from W&B needs a key: run `wandb login`, or set WANDB_API_KEY")
    quiet()
    try:
        found = _find(
            f"{entity}/{project}", {"jobType": {"$in": ["train", "search"]}} | ({"group": group} if group else {})
        )
        ours = [run for run in found if RECORD_COLUMN in run.config]
        runs = [_run(run, f"{path}/{run.id}") for run in ours]
    except _Refused as error:
        raise ValueError(f"{path} cannot be read ({error}): check the name and `wandb login`") from None
    if not runs:
        raise ValueError(
            f"{path} has no finished run with the column {RECORD_COLUMN} ({len(found)} training runs looked at):"
            " train with logger=wandb, or name another group"
        )
    return runs


class _Refused(Exception):  # noqa: N818 - says what happened
    """W&B's own words for why it did not answer."""


def _find(project: str, filters: dict[str, Any]) -> list[WandbRun]:
    import wandb

    try:
        return list(wandb.Api(timeout=30).runs(project, filters=filters, lazy=False))
    except Exception as error:  # wandb raises its own, those of requests, and ValueError for an unknown project
        raise _Refused(" ".join(str(error).split("<")[0].split())[:160]) from error


def _run(run: WandbRun, source: str) -> Run:
    """One run with its whole history in the order in which it was measured."""
    record = Record.from_json(json.loads(run.config[RECORD_COLUMN]))
    try:
        rows = sorted(run.scan_history(use_cache=False), key=lambda row: int(row["_step"]))
    except Exception as error:
        raise _Refused(" ".join(str(error).split("<")[0].split())[:160]) from error
    missing = [column for column in NEEDED_COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise ValueError(f"{source} lacks {missing} in its history: send it again with `algoprog wandb-sync FOLDER`")
    own = {OPTIMIZER_FLOPS, *(key.rpartition(" ")[2] for key in record.stats)}  # a statistic's name behind its layer's
    known = [name for name in rows[0] if name in own or name in CURVE_COLUMNS]
    columns = {name: np.array([float(row.get(name, "nan")) for row in rows]) for name in known}
    return Run(record, whole_curve(columns), Path(source))
