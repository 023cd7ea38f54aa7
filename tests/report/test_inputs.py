"""A report is drawn again where it would show something else, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from algoprog.report.inputs import drawn_from, fingerprint
from algoprog.runs.record import REPORT_FILE
from algoprog.runs.store import load_runs, write_record
from algoprog.sweep.finish import analysis
from algoprog.sweep.finish.analysis import analyse

SOURCES = {"git_commit": "0" * 40, "git_dirty": False, "versions": {"algoprog": "1"}}


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "environment", lambda: SOURCES)


@pytest.fixture
def folder(write_sweep, sweep) -> Path:
    runs = write_sweep(sweep(models=("nano",), variants=("none", "rope"), seeds=1))
    return runs[0].path.parent


@pytest.mark.slow
def test_nothing_is_drawn_again_without_a_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analyse(folder, wandb=None, redraw=False)
    page = folder / REPORT_FILE
    assert drawn_from(page) == fingerprint(load_runs(folder), None, SOURCES)
    before, said = page.stat().st_mtime_ns, capsys.readouterr().out
    analyse(folder, wandb=None, redraw=False)
    assert page.stat().st_mtime_ns == before
    assert capsys.readouterr().out == said
    analyse(folder, wandb=None, redraw=True)
    assert page.stat().st_mtime_ns > before


@pytest.mark.slow
def test_a_change_of_anything_is_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse(folder, wandb=None, redraw=False)
    seen = {drawn_from(folder / REPORT_FILE)}
    run = load_runs(folder)[0]
    write_record(run.path, replace(run.record, peak_memory_bytes=run.record.peak_memory_bytes + 1))
    seen.add(fingerprint(load_runs(folder), None, SOURCES))
    curve = run.path / "curve.csv"
    lines = curve.read_text().splitlines()
    curve.write_text("\n".join([*lines[:-2], lines[-1]]) + "\n")
    seen.add(fingerprint(load_runs(folder), None, SOURCES))
    other = SOURCES | {"git_commit": "1" * 40}
    seen.add(fingerprint(load_runs(folder), "python train.py -m", other))
    seen.add(last := fingerprint(load_runs(folder), None, other))
    assert len(seen) == 5
    monkeypatch.setattr(analysis, "environment", lambda: other)
    analyse(folder, wandb=None, redraw=False)
    assert drawn_from(folder / REPORT_FILE) == last


@pytest.mark.slow
def test_sources_that_are_not_committed_always_draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "environment", lambda: SOURCES | {"git_dirty": True})
    analyse(folder, wandb=None, redraw=False)
    before = (folder / REPORT_FILE).stat().st_mtime_ns
    assert drawn_from(folder / REPORT_FILE) is None
    analyse(folder, wandb=None, redraw=False)
    assert (folder / REPORT_FILE).stat().st_mtime_ns > before


def test_a_page_of_another_kind_has_no_inputs(tmp_path: Path) -> None:
    assert drawn_from(tmp_path / "none.html") is None
    (tmp_path / "page.html").write_bytes(b"\xff<html>")
    assert drawn_from(tmp_path / "page.html") is None
