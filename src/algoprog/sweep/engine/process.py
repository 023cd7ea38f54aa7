"""The process of one run as the launcher sees it: start, end, and how it went."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

from algoprog.runs.liveness import is_alive
from algoprog.runs.mistake import MISTAKE
from algoprog.runs.record import BESIDE, LOG_FILE, RECORD_FILE
from algoprog.runs.status import next_attempt
from algoprog.sweep.engine.devices import DeviceShare
from algoprog.sweep.engine.job import GRACE_SECONDS, SIGNALLED, Job, Told, Work, jobs_of, work
from algoprog.sweep.engine.members import work_members

POLL_SECONDS = 0.05

DEATH_SECONDS = 60.0
"""Longest time between the death of the fork server, which closes its socket at once, and the news of it."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: `fault` is None where it left a record."""

    fault: str | None
    repeatable: bool  # may another attempt go better?


class RunProcess:
    """One attempt at a run, or at several that share a process, to be started once whoever ends it knows of it.

    Args:
        context: of multiprocessing; its fork server has the imports loaded.
        job: the run, or the members.
        script: path of train.py.
        share: the part of the machine that the run is given.
        beside: other runs on the machine at the same time.
    """

    def __init__(self, context: ForkServerContext, job: Work, script: str, share: DeviceShare, beside: int) -> None:
        self.job, self.share, self.jobs = job, share, jobs_of(job)
        for one in self.jobs:
            one.folder.mkdir(parents=True, exist_ok=True)
        self.attempts = {one: next_attempt(one.folder) for one in self.jobs}
        self.overdue: float | None = None  # seconds after which it was told to end
        self.started = time.monotonic()
        self._told, self._tell = context.Pipe(duplex=False)
        given = {**share, BESIDE: str(beside)}
        target, args = (
            (work, (job, script, given, self.attempts[job], self._tell))
            if isinstance(job, Job)
            else (work_members, (job, given, list(self.attempts.values()), self._tell))
        )
        self.process = context.Process(target=target, args=args, name=job.name)

    def start(self) -> None:
        """Start its process; a fork server that died just now is waited for and replaced, which costs no attempt.

        Raises:
            OSError: the process cannot be started, or no fork server can.
            EOFError: a fork server died while it started one.
        """
        deadline = time.monotonic() + DEATH_SECONDS
        while self.process.pid is None:
            try:
                self.process.start()  # makes a new server once the kernel says that the old one ended
            except (ConnectionError, EOFError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
        self._tell.close()

    @property
    def sentinel(self) -> int:
        """Ready once the process ended, or the fork server that knows how it ends."""
        return self.process.sentinel

    def end_overdue(self, timeout: float | None) -> None:
        """Once the attempt has taken longer than `timeout` seconds a run: SIGTERM, SIGKILL if that does not end it."""
        took = time.monotonic() - self.started
        assert self.process.pid is not None
        if timeout is None or took <= timeout * len(self.jobs):
            return
        if self.overdue is None:
            self.overdue = took
            send(self.process.pid, signal.SIGTERM)
        elif took > self.overdue + GRACE_SECONDS:
            send(self.process.pid, signal.SIGKILL)

    def collect(self) -> dict[Job, Ending]:
        """How each of its runs ended; whatever it left running is ended too."""
        self.process.join()
        pid, code = self.process.pid, self.process.exitcode
        assert pid is not None
        orphaned = is_alive(pid)
        if orphaned:  # its fork server died and cannot say how it ends
            end([pid])
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # further ranks of the run
        told, fault = self._all_told(), "the fork server died" if orphaned else None
        return {job: self._ending(job, told.get(job.name), fault, code) for job in self.jobs}

    def _ending(self, job: Job, told: Told | None, fault: str | None, code: int | None) -> Ending:
        if (job.folder / RECORD_FILE).exists():
            return Ending(None, repeatable=False)
        code = told.code if told else code
        if self.overdue is not None:
            fault = f"timed out after {self.overdue / 60:.3g} minutes"
        elif fault is None and code is not None and code < 0:
            fault = f"killed by {_name(-code)}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
        elif fault is None and code is not None and code > SIGNALLED:
            fault = f"ended by {_name(code - SIGNALLED)}"
        words = told.words if told and told.words else _words(job, code)
        return Ending(fault or words, repeatable=self.overdue is not None or code != MISTAKE)

    def _all_told(self) -> dict[str, Told]:
        """What the runs themselves said, by their names."""
        told: dict[str, Told] = {}
        with contextlib.suppress(EOFError, OSError), self._told:
            while self._told.poll():
                told |= self._told.recv()
        return told


def _words(job: Job, code: int | None) -> str:
    """What is known of the end of a run that said nothing of it."""
    if code == 0:
        return "ended without a record"
    said = last_line(job.folder / LOG_FILE)
    return f"exit code {code}" + (f": {said}" if said and not said.startswith("=== attempt") else "")


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # a real-time signal
        return f"signal {signum}"


def end(pids: Sequence[int], grace: float = GRACE_SECONDS) -> None:
    """End processes and what they started: SIGTERM, time for a checkpoint, SIGKILL; a second Ctrl-C cuts it short."""
    for pid in pids:
        send(pid, signal.SIGTERM)
    try:
        deadline = time.monotonic() + grace
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    finally:
        for pid in pids:
            send(pid, signal.SIGKILL)


def send(pid: int, signum: signal.Signals) -> None:
    """A signal to the group of a run's process, or to itself where it has not made the group yet."""
    try:
        os.killpg(pid, signum)
    except (ProcessLookupError, PermissionError):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if is_alive(pid):
                os.kill(pid, signum)


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
