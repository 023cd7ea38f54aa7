"""A disk that is full, wherever it is met: one sentence, exit code 1, and what was written before is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from algoprog.cli import main
from algoprog.runs.failure import failed
from algoprog.runs.mistake import FAULT, MISTAKE, exit_code
from algoprog.runs.store import load_runs, write_curve
from algoprog.sweep.finish.callback import Gains

FULL = "No space left on device"


@pytest.fixture(scope="module")
def folder(write_sweep, sweep) -> Path:
    return write_sweep(sweep(models=("nano",), variants=("none", "ln"), seeds=1))[0].path.parent


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system takes no whole file any more."""

    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, FULL)

    monkeypatch.setattr(os, "fsync", fsync)


def assert_one_sentence(said: str) -> None:
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert f"({FULL}): free some space, then start again" in said


@pytest.mark.usefixtures("full")
def test_in_the_analysis_of_a_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    config = SimpleNamespace(hydra=SimpleNamespace(sweep=SimpleNamespace(dir=str(folder))))
    with pytest.raises(SystemExit, match="1"):
        Gains().on_multirun_end(config)
    said = capsys.readouterr().err
    assert_one_sentence(said)
    assert f"{folder / 'gains.json'} cannot be used" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert len(load_runs(folder)) == 2


@pytest.mark.usefixtures("full")
def test_in_a_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder)]) == FAULT
    assert_one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("words", [["ceg"], ["ceg", "--format", "csv"], ["literature"]])
def test_under_the_output_of_a_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    with open(os.devnull, "w") as nowhere, open("/dev/full", "w", encoding="utf-8") as disk:  # noqa: PTH123
        monkeypatch.setattr("sys.stdout", disk)
        assert main([words[0], str(folder), *words[1:]]) == FAULT
        os.dup2(nowhere.fileno(), disk.fileno())
    assert_one_sentence(capsys.readouterr().err)


@pytest.mark.usefixtures("full")
def test_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match=FULL) as caught:
        write_curve(tmp_path, [{"step": 1}])
    ended = failed(caught.value, tmp_path)
    assert ended.code == FAULT
    assert_one_sentence(capsys.readouterr().err)
    assert f"{tmp_path / 'curve.csv'} cannot be used" in ended.told
    assert list(tmp_path.iterdir()) == []


def test_no_word_on_the_command_line_mends_a_disk() -> None:
    assert exit_code(OSError(errno.ENOSPC, FULL)) == FAULT
    assert exit_code(PermissionError(errno.EACCES, "no")) == MISTAKE
    assert exit_code(ValueError("no")) == MISTAKE
