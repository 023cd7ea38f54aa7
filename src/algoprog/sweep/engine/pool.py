"""The queue of runs, the shares of the machine that work on it, and what happens when one fails."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait

from algoprog.runs.status import FAILED, STOPPED, WAITING, mark, next_attempt
from algoprog.sweep.engine.devices import DeviceShare
from algoprog.sweep.engine.job import Job, Work, jobs_of
from algoprog.sweep.engine.process import Ending, RunProcess, end
from algoprog.sweep.watch.screen import Screen

LOOK_SECONDS = 1.0
"""Longest time between two looks at time-outs and the screen."""


GIVING_UP = "fail_fast: the other runs are ended"
GIVEN_UP = "not finished: another run failed, and fail_fast is set"


class Pool:
    """Works a list of jobs off, each in a process of its own, but for those that share one.

    Args:
        jobs: the runs, some of them as members.
        script: path of train.py.
        shares: of the machine; as many runs go on at the same time.
        retries: further attempts at a run that failed in a way that may pass.
        timeout: seconds that one attempt may take; None lets it take any.
        fail_fast: end everything as soon as one run has failed for good.
        screen: shows what happens.
    """

    def __init__(
        self,
        jobs: Sequence[Work],
        script: str,
        shares: Sequence[DeviceShare],
        *,
        retries: int,
        timeout: float | None,
        fail_fast: bool,
        screen: Screen,
    ) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.script = script
        self.waiting, self.free = list(jobs)[::-1], list(shares)[::-1]
        self.retries, self.timeout, self.fail_fast, self.screen = retries, timeout, fail_fast, screen
        self.running: dict[int, RunProcess] = {}
        self.starting: RunProcess | None = None
        self.faults: dict[Job, str | None] = {}
        self.tries: dict[Job, int] = {}

    def run(self) -> dict[Job, str | None]:
        """What went wrong with each run, None where nothing did.

        Raises:
            KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; every run was ended first.
        """
        with signals_interrupt():
            try:
                while self.waiting or self.running:
                    self._fill()
                    for sentinel in wait(list(self.running), LOOK_SECONDS):
                        assert isinstance(sentinel, int)
                        self._collect(self.running[sentinel])
                    for run in self.running.values():
                        run.end_overdue(self.timeout)
                    self.screen.draw()
            finally:
                self._end_all()
        return self.faults

    def _fill(self) -> None:
        """Start runs while there is a share of the machine for them."""
        started = self.waiting[len(self.waiting) - min(len(self.waiting), len(self.free)) :]
        beside = sum(len(jobs_of(work)) for work in (*started, *(run.job for run in self.running.values()))) - 1
        while self.waiting and self.free:
            work, share = self.waiting.pop(), self.free.pop()
            for job in jobs_of(work):
                self.tries[job] = self.tries.get(job, 0) + 1
            try:
                run = self.starting = RunProcess(self.context, work, self.script, share, beside)
                run.start()
            except (OSError, EOFError) as error:  # too many files or processes, say
                self.starting = None
                self.free.append(share)
                for job in jobs_of(work):
                    self._judge(job, Ending(f"not started: {error!r}", repeatable=True), next_attempt(job.folder), 0.0)
                continue
            self.running[run.sentinel] = run
            self.starting = None  # now and not before: an interrupt must find every process

    def _collect(self, run: RunProcess) -> None:
        endings = run.collect()
        del self.running[run.sentinel]  # now and not before: an interrupt must find every process
        self.free.append(run.share)
        for job, ending in endings.items():
            self._judge(job, ending, run.attempts[job], time.monotonic() - run.started)

    def _judge(self, job: Job, ending: Ending, attempt: int, seconds: float) -> None:
        """Repeat the run, alone, or note that it is through."""
        if ending.fault and ending.repeatable and self.tries[job] <= self.retries:
            mark(job.folder, WAITING, attempt=attempt, reason=ending.fault)
            self.screen.say(f"{job.name}: {ending.fault}; once more")
            self.waiting.insert(0, job)
            return
        if ending.fault:
            mark(job.folder, FAILED, attempt=attempt, reason=ending.fault)
        self.faults[job] = ending.fault
        self.screen.ended(job.folder, ending.fault, seconds)
        if ending.fault and self.fail_fast:
            self._give_up()

    def _give_up(self) -> None:
        """End the others; a run that had begun goes on from its checkpoint another time."""
        self.screen.say(GIVING_UP)
        left = [job for work in (*self.waiting, *(run.job for run in self.running.values())) for job in jobs_of(work)]
        self.waiting.clear()
        self._end_all()
        self.faults.update(dict.fromkeys(left, GIVEN_UP))

    def _end_all(self) -> None:
        ended = list(dict.fromkeys([*self.running.values(), *([self.starting] if self.starting else [])]))
        end([run.process.pid for run in ended if run.process.pid is not None])
        self.running.clear()
        self.starting = None
        for run in ended:
            unknown = run.process.pid is None  # it ends with this one
            for job in run.jobs if unknown else [job for job, ending in run.collect().items() if ending.fault]:
                mark(job.folder, STOPPED, attempt=run.attempts[job], reason="ended with the sweep")


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal are what Ctrl-C is; a hang-up that `nohup` ignores stays ignored."""
    previous = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGHUP)}
    for signum, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, _interrupt)
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
