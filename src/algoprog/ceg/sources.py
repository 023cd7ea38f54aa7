"""Curves from where people keep them: a sweep's folder, any folder of records, a tidy CSV, a W&B export."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from algoprog.ceg.curves import Curve, curves_from_runs
from algoprog.ceg.tables import read_table
from algoprog.runs.views import compared_runs


def read_sources(paths: Iterable[Path]) -> list[Curve]:
    """The curves of every source, in the order given.

    A folder is searched for finished runs at any depth; a file is a CSV, tidy (`variant,model,seed,step,tokens,flops,
    seconds,val_loss`, cost columns optional) or a W&B export (`Step` and columns like
    `compact - rope - val/loss`).

    Raises:
        ValueError: a source does not exist, holds no finished run, or is malformed; names the file and the remedy.
    """
    return [curve for path in paths for curve in read_source(path)]


def read_source(path: Path) -> list[Curve]:
    """The curves of one folder or CSV file; `read_sources` says which forms and which errors."""
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist: name a sweep's folder, a folder of records or a CSV of curves")
    if path.suffix.lower() != ".csv":
        raise ValueError(f"{path} is neither a folder nor a .csv file: name the run's folder or export a CSV")
    return read_table(path)


def _read_folder(path: Path) -> list[Curve]:
    runs = compared_runs(path)
    if not runs:
        raise ValueError(
            f"{path} holds no finished run (no record.json below it): finish a sweep or name another folder"
        )
    curves = curves_from_runs(runs)
    for curve in curves:
        if all(len(curve.points(axis)[0]) == 0 for axis in curve.costs) and not curve.diverged:
            raise ValueError(f"{curve.source} has no evaluation after step 0: move the folder away and run it again")
    return curves
