"""A file system that is really full, anywhere in a sweep: one sentence, exit code 1, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from algoprog.runs.store import load_runs
from tests.e2e.conftest import TINY, Program, algoprog, train  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # sweeps of two runs, again and again

SIZE = 2**25
KIB = 2**10


class Disk:
    """A file system of its own with a file that takes what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ballast = folder, folder / "ballast"

    def leave(self, count: int) -> None:
        """Have so many bytes free."""
        self.ballast.unlink(missing_ok=True)
        free = os.statvfs(self.folder)
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - count)

    def empty(self) -> None:
        """Make space."""
        self.ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def words(disk: Disk) -> list[str]:
    """A sweep of two runs on the disk."""
    budget = ["budget.steps=4", "trainer.checkpoint_steps=1", "hydra.launcher.runs=1", "hydra.sweeper.reuse=null"]
    return ["-m", *TINY, *budget, "attention=mqa", "hydra.launcher.retries=0", f"hydra.sweep.dir={disk.folder}/sweep"]


def assert_told(code: int, output: str) -> None:
    assert code == 1, output
    assert "Traceback" not in output
    assert "No space left on device" in output
    assert "free some space, then start again" in output


@pytest.mark.parametrize("left", [0, 64 * KIB])
def test_in_training(disk: Disk, train: Program, left: int) -> None:  # noqa: F811
    disk.leave(left)
    full = train(*words(disk))
    assert_told(full.returncode, full.stderr + full.stdout)
    disk.empty()
    again = train(*words(disk))
    assert again.returncode == 0, again.stderr + again.stdout
    assert len(load_runs(disk.folder)) == 2
    assert (disk.folder / "sweep" / "report.html").exists()


@pytest.mark.parametrize("left", [16 * KIB])
def test_in_the_analysis_and_the_report(disk: Disk, train: Program, algoprog: Program, left: int) -> None:  # noqa: F811
    sweep = disk.folder / "sweep"
    assert train(*words(disk), "~hydra.callbacks.gains").returncode == 0
    disk.leave(left)
    records = {path: path.read_bytes() for path in sweep.rglob("record.json")}
    for full in (train(*words(disk)), algoprog("report", str(sweep))):
        assert_told(full.returncode, full.stderr + full.stdout)
    shown = algoprog("status", str(sweep))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert {path: path.read_bytes() for path in sweep.rglob("record.json")} == records
    disk.empty()
    assert train(*words(disk)).returncode == 0
    assert (sweep / "report.html").exists()
