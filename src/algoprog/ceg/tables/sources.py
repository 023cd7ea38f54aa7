"""Curves from where people keep them: a sweep's folder, any folder of records, tables, W&B exports, logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from algoprog.ceg.curves import Curve, curves_from_runs
from algoprog.ceg.tables import read_table
from algoprog.ceg.tables.sheet import SUFFIXES
from algoprog.ceg.tables.speedrun import is_log, read_logs
from algoprog.runs.record import CURVES_CSV, GAINS_CSV
from algoprog.runs.views import compared_runs


def read_sources(paths: Iterable[Path], rename: Mapping[str, str] | None = None) -> list[Curve]:
    """The curves of every source, in the order given.

    A folder is searched for finished runs at any depth, else for the curves of a published table (`curves.csv`), else
    for logs of modded-nanogpt. A file is such a log, or a table in CSV, TSV or JSON lines: tidy
    (`variant,model,seed,step,tokens,flops,seconds,val_loss`, one column of cost being enough) or a W&B export (an x
    axis and columns like `compact - rope - val/loss`).

    Args:
        paths: the sources.
        rename: our name for columns of tables that are called otherwise there.

    Raises:
        ValueError: a source does not exist, holds no finished run, or is malformed; names the file and the remedy.
    """
    return [curve for path in paths for curve in read_source(path, rename)]


def read_source(path: Path, rename: Mapping[str, str] | None = None) -> list[Curve]:
    """The curves of one folder or file; `read_sources` says which forms and which errors."""
    if path.is_dir():
        return _read_folder(path, rename)
    if not path.exists():
        raise ValueError(f"{path} does not exist: name a sweep's folder, a folder of records or a CSV of curves")
    if path.suffix.lower() in SUFFIXES:
        return read_table(path, rename)
    if is_log(path):
        return read_logs(path)
    raise ValueError(
        f"{path} is neither a folder nor a .csv, .tsv or .jsonl file, nor a log of modded-nanogpt: name the run's"
        " folder or export a CSV"
    )


def lost(curves: Iterable[Curve]) -> bool:
    """Whether there are curves, and none of them has a finite loss."""
    losses = [curve.val_loss for curve in curves]
    return bool(losses) and not any(np.isfinite(loss).any() for loss in losses)


def _read_folder(path: Path, rename: Mapping[str, str] | None) -> list[Curve]:
    runs = compared_runs(path)
    if not runs:
        if (path / CURVES_CSV).is_file():
            return read_table(path / CURVES_CSV, rename)
        if logs := read_logs(path):
            return logs
        if (path / GAINS_CSV).is_file():
            raise ValueError(
                f"{path} holds {GAINS_CSV}, a table of gains, and neither records nor curves to compute it from again:"
                " name another folder"
            )
        raise ValueError(
            f"{path} holds no finished run (no record.json below it): finish a sweep or name another folder"
        )
    curves = curves_from_runs(runs)
    for curve in curves:
        if all(len(curve.points(axis)[0]) == 0 for axis in curve.costs) and not curve.diverged:
            raise ValueError(f"{curve.source} has no evaluation after step 0: move the folder away and run it again")
    return curves
