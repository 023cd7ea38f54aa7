"""One run on a machine of a cluster: what the workers of Slurm and Ray have in common."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing import forkserver

from algoprog.sweep.job import Job
from algoprog.sweep.pool import Pool

PRELOAD = ["algoprog.sweep.preload"]


@dataclass(frozen=True)
class Outcome:
    """How a run went where it was trained."""

    fault: str | None
    seconds: float


def carry_out(job: Job, script: str, share: dict[str, str], *, retries: int, timeout: float | None) -> Outcome:
    """Train one run in a process of its own on this machine.

    Args:
        job: the run.
        script: path of train.py.
        share: variables that give the run its part of the machine.
        retries: further attempts at a run whose process died.
        timeout: seconds that one attempt may take; None lets it take any.

    Raises:
        KeyboardInterrupt: the cluster takes the machine back; the run was ended first.
    """
    serve()
    began = time.monotonic()
    pool = Pool([job], script, [share], retries=retries, timeout=timeout, fail_fast=False, screen=_Log())
    fault = pool.run()[job]
    return Outcome(fault, time.monotonic() - began)


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

    def ended(self, job: Job, fault: str | None, seconds: float) -> None:
        """Print it."""
        print(f"{job.name}: {fault or 'done'}, {seconds:.0f} s", flush=True)
