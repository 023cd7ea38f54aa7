"""From the records of a finished sweep to its gains, table and report."""

from __future__ import annotations

from pathlib import Path


def analyse(folder: Path) -> None:
    """Placeholder until ceg lands."""
    print(folder)
