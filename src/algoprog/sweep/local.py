"""The local launcher: one process a run, started from a server that has the imports loaded.

A run is `python train.py <its overrides> hydra.run.dir=<its folder>` in a process of its own, so every run can be
repeated by hand, memory returns to zero between runs, and no death of one reaches another.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from algoprog.overrides import parse, quoted
from algoprog.runs.record import RECORD_FILE
from algoprog.runs.store import load_run

LOG_FILE = "run.log"
MAX_CPU_SLOTS = 8
PRELOAD = ["algoprog.app", "algoprog.fit", "algoprog.training.module"]


class RunFailedError(Exception):
    """A run left no record; the message says how it ended and where its log is."""


@dataclass(frozen=True)
class Job:
    """One run to start."""

    overrides: list[str]
    folder: Path


class Local(Launcher):
    """Runs jobs in processes, as many at a time as there are slots.

    Args:
        slots: runs at the same time, or `auto`: one a GPU, else one a core, at most 8.
        threads: CPU threads of a run, or `auto`: the cores divided among the slots.
    """

    def __init__(self, slots: int | str, threads: int | str) -> None:
        self.slots, self.threads = slots, threads
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what launching needs, and let the server load the imports while the sweep is planned."""
        self.config = config
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; a failed one does not stop the others."""
        assert self.config is not None
        setup_globals()
        sweep_dir = Path(self.config.hydra.sweep.dir).absolute()
        jobs = [_job(list(overrides), sweep_dir) for overrides in job_overrides]
        gpus = _n_gpus()
        slots = min(_slots(self.slots, gpus), len(jobs))
        cores = len(os.sched_getaffinity(0))
        threads = max(1, cores // slots) if self.threads == "auto" else int(self.threads)
        return _Pool(jobs, [_environment(slot, gpus, threads) for slot in range(slots)]).run()


class _Pool:
    """The queue of jobs and the slots that work on it."""

    def __init__(self, jobs: list[Job], environments: list[dict[str, str]]) -> None:
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.waiting = list(enumerate(jobs))[::-1]
        self.jobs, self.free = jobs, environments
        self.running: dict[int, tuple[int, ForkServerProcess, dict[str, str], float]] = {}
        self.returns: dict[int, JobReturn] = {}

    def run(self) -> list[JobReturn]:
        """Work until nothing is left; on Ctrl-C or SIGTERM end the runs first."""
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            while self.waiting or self.running:
                while self.waiting and self.free:
                    self._start(*self.waiting.pop())
                for sentinel in wait(list(self.running)):
                    assert isinstance(sentinel, int)
                    self._collect(sentinel)
        finally:
            self._end_all()
            signal.signal(signal.SIGTERM, previous)
        return [self.returns[index] for index in range(len(self.jobs))]

    def _start(self, index: int, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        environment = self.free.pop()
        process = self.context.Process(target=_work, args=(job, sys.argv[0], environment), name=job.folder.name)
        process.start()
        self.running[process.sentinel] = index, process, environment, time.monotonic()

    def _collect(self, sentinel: int) -> None:
        index, process, environment, started = self.running.pop(sentinel)
        process.join()
        self.free.append(environment)
        job = self.jobs[index]
        self.returns[index] = _job_return(job, process.exitcode)
        count = f"[{len(self.returns)}/{len(self.jobs)}]"
        print(count, _summary(job, self.returns[index], started), flush=True)

    def _end_all(self) -> None:
        for _, process, _, _ in self.running.values():
            process.terminate()
        for _, process, _, _ in self.running.values():
            process.join(10)
            if process.is_alive():
                process.kill()


def _work(job: Job, script: str, environment: dict[str, str]) -> None:
    """Be one run: in a process of its own, with its output in its folder."""
    log = os.open(job.folder / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)
    if threads := environment.get("OMP_NUM_THREADS"):
        import torch

        torch.set_num_threads(int(threads))
    sys.argv = [script, *job.overrides, f"hydra.run.dir={quoted(str(job.folder))}"]
    try:
        runpy.run_path(script, run_name="__main__")
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _job(overrides: list[str], sweep_dir: Path) -> Job:
    """Split off the folder that the sweeper chose."""
    key = "hydra.sweep.subdir="
    (word,) = [word for word in overrides if word.startswith(key)]
    (parsed,) = parse([word])
    return Job([other for other in overrides if other != word], sweep_dir / str(parsed.value()))


def _slots(slots: int | str, gpus: int) -> int:
    if slots != "auto":
        return max(1, int(slots))
    return gpus or min(MAX_CPU_SLOTS, len(os.sched_getaffinity(0)))


def _n_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _environment(slot: int, gpus: int, threads: int) -> dict[str, str]:
    """Variables that give a run its share of the machine."""
    share = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        share["CUDA_VISIBLE_DEVICES"] = visible.split(",")[slot % gpus]
    return share


def _job_return(job: Job, exit_code: int | None) -> JobReturn:
    done = (job.folder / RECORD_FILE).exists() and exit_code == 0
    result = JobReturn(overrides=job.overrides, working_dir=str(job.folder))
    result.status = JobStatus.COMPLETED if done else JobStatus.FAILED
    if done:
        result.return_value = load_run(job.folder).record.final_val_loss
    else:
        how = f"signal {signal.Signals(-exit_code).name}" if exit_code and exit_code < 0 else f"exit code {exit_code}"
        result.return_value = RunFailedError(f"{job.folder.name} ended with {how}: see {job.folder / LOG_FILE}")
    return result


def _summary(job: Job, result: JobReturn, started: float) -> str:
    if result.status is JobStatus.FAILED:
        return f"FAILED {result._return_value}"
    record = load_run(job.folder).record
    loss = f"loss {record.final_val_loss:.4f}" if record.final_val_loss is not None else "no loss"
    took = time.monotonic() - started
    return f"{record.model} {record.variant} seed {record.seed}: {record.status}, {loss}, {took:.0f} s"


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
