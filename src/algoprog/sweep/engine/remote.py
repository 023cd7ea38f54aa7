"""What Slurm and Ray have in common: the launcher that waits, and the worker that trains one run."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

from algoprog.runs.status import FAILED, mark, next_attempt
from algoprog.sweep.engine.job import PRELOAD, Job
from algoprog.sweep.engine.pool import GIVEN_UP, GIVING_UP, Pool
from algoprog.sweep.watch.screen import Screen


@dataclass(frozen=True)
class Attempts:
    """How often a run is tried where it was placed."""

    retries: int  # after the first attempt, if its process died
    timeout: float | None  # seconds that one attempt may take


@dataclass(frozen=True)
class Ended:
    """How a run went where it was trained."""

    fault: str | None
    seconds: float


def follow(
    todo: Sequence[Job],
    look: Callable[[], Iterable[tuple[Job, Ended]]],
    stop: Callable[[Sequence[Job]], None],
    *,
    fail_fast: bool,
    screen: Screen,
) -> dict[Job, str | None]:
    """What went wrong with each run that a cluster trains, None where nothing did.

    Args:
        todo: the runs, submitted.
        look: waits a moment; gives those that ended since it was called before.
        stop: ends runs; called once with those that are left, however the waiting ends.
        fail_fast: end the others as soon as one has failed.
        screen: shows what happens.
    """
    faults: dict[Job, str | None] = {}
    try:
        while len(faults) < len(todo) and not (fail_fast and any(faults.values())):
            for job, outcome in look():
                faults[job] = outcome.fault
                screen.ended(job.folder, outcome.fault, outcome.seconds)
            screen.draw()
    finally:
        stop([job for job in todo if job not in faults])
    for job, fault in faults.items():
        if fault:
            mark(job.folder, FAILED, attempt=next_attempt(job.folder) - 1, reason=fault)
    if len(faults) < len(todo):
        screen.say(GIVING_UP)
    return {job: faults.get(job, GIVEN_UP) for job in todo}


def carry_out(job: Job, script: str, share: dict[str, str], attempts: Attempts) -> Ended:
    """Train one run in a process of its own on this machine.

    Args:
        job: the run.
        script: path of train.py.
        share: variables that give the run its part of the machine.
        attempts: how often, and how long.

    Raises:
        KeyboardInterrupt: the cluster takes the machine back; the run was ended first.
    """
    serve()
    began = time.monotonic()
    pool = Pool(
        [job],
        script,
        [share],
        retries=attempts.retries,
        timeout=attempts.timeout,
        fail_fast=False,
        screen=_Log(),
    )
    fault = pool.run()[job]
    return Ended(fault, time.monotonic() - began)


def serve() -> None:
    """Start the server that runs are forked from, unless it is there."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()


class _Log:
    """The screen of a worker: its standard output, which the cluster keeps."""

    def draw(self) -> None:
        """Nothing moves here."""

    def say(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)

    def ended(self, run: Path, fault: str | None, seconds: float) -> None:
        """Print it."""
        print(f"{run.name}: {fault or 'done'}, {seconds:.0f} s", flush=True)
