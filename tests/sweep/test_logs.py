"""Which run `algoprog logs` means, and what it names where it means none."""

from __future__ import annotations

from pathlib import Path

import pytest

from algoprog.cli import main
from algoprog.runs.calls import begin_call


@pytest.mark.parametrize("run", ["nothing", ""])
def test_only_runs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str) -> None:
    begin_call(tmp_path, "python train.py -m", {"nano-none": [], "nano-ln": []})
    for name in ("nano-none", "figures", "mlruns", "older"):
        (tmp_path / name).mkdir()
    (tmp_path / "older" / "record.json").write_text("{}")
    assert main(["logs", run, "--sweep", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: no run in {tmp_path} begins with {run or 'nothing'}: give one of nano-ln, nano-none, older\n"
    )


def test_a_folder_of_figures_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "figures").mkdir()
    assert main(["logs", "fig", "--sweep", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: no run in {tmp_path} begins with fig: name its sweep with --sweep\n"


def test_a_run_that_has_not_begun_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin_call(tmp_path, "python train.py -m", {"nano-none": []})
    assert main(["logs", "nano", "--sweep", str(tmp_path)]) == 2
    assert "the run was not started yet" in capsys.readouterr().err
