"""The notebook, executed from top to bottom on fixture records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from algoprog.runs.record import Run

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "gains.ipynb"


@pytest.mark.slow
def test_it_redraws_table_and_figures(
    write_sweep: Callable[..., list[Run]], sweep: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = write_sweep(sweep(models=("nano", "micro"), variants=("none", "ln"), seeds=1))
    monkeypatch.setenv("ALGOPROG_SWEEP", str(runs[0].path.parent))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=str(NOTEBOOK.parent))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    drawn = [output for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert "Compute-equivalent gain" in printed
    assert "ln " in printed
    assert len(drawn) == 3  # a loss figure a model, one figure of gains


def test_it_defines_nothing() -> None:
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert not [line for source in code for line in source.splitlines() if line.startswith(("def ", "class "))]
