"""A pool that runs the planted script, and what it showed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from algoprog.sweep.engine.devices import DeviceShare
from algoprog.sweep.engine.job import Job
from algoprog.sweep.engine.pool import Pool
from tests.e2e import conftest as e2e
from tests.warm import server

SCRIPT = Path(__file__).parent / "planted" / "script.py"
SHARE: DeviceShare = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


class Spoken:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.order: list[str] = []

    def draw(self) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)

    def ended(self, run: Path, fault: str | None, seconds: float) -> None:
        self.order.append(run.name)


PATIENCE = 300.0
"""Seconds after which a test gives up waiting; so many that a busy machine is never taken for a fault."""

Run = Callable[..., tuple[dict[str, str | None], Spoken]]


@pytest.fixture(autouse=True, scope="session")
def ready_server() -> None:
    """The server has its imports before the seconds of a run are counted."""
    process = server.Process(target=int)
    process.start()
    process.join()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `name=KIND WRONG` jobs through a pool; faults by name."""

    def run(retries: int = 0, timeout: float | None = PATIENCE, fail_fast: bool = False, shares: int = 2, **jobs: str):
        spoken = Spoken()
        todo = [Job(tuple(words.split()), tmp_path / name) for name, words in jobs.items()]
        pool = Pool(
            todo,
            str(SCRIPT),
            [SHARE] * shares,
            retries=retries,
            timeout=timeout,
            fail_fast=fail_fast,
            screen=spoken,
        )
        return {job.name: fault for job, fault in pool.run().items()}, spoken

    return run


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


train = e2e.train
algoprog = e2e.algoprog
