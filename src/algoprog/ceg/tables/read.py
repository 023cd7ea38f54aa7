"""The curves of a table, tidy or exported from a chart of W&B."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from algoprog.ceg.curves import Curve
from algoprog.ceg.tables.sheet import read_sheet
from algoprog.ceg.tables.tidy import read_tidy
from algoprog.ceg.tables.wandb import is_chart, read_chart


def read_table(path: Path, rename: Mapping[str, str] | None = None) -> list[Curve]:
    """The curves of a CSV, TSV or JSONL file.

    Args:
        path: the file.
        rename: our name for columns that are called otherwise there.

    Raises:
        ValueError: a column is missing, a line is cut short, a cell that is needed is no number, or no cost rises along
            a run; one sentence that names file, line and remedy.
    """
    sheet = read_sheet(path)
    read = read_chart if is_chart(sheet, rename or {}) else read_tidy
    return read(sheet, rename or {})
