"""The local engine, `hydra/launcher=local`: this machine's GPUs or cores, one process a run.

The processes are forked from a server that has the imports loaded, so that a short run does not pay seconds for them.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from algoprog.runs.calls import read_calls
from algoprog.runs.mistake import sentence
from algoprog.runs.record import LOG_FILE, RECORD_FILE
from algoprog.runs.store import load_run
from algoprog.sweep.engine.devices import DeviceShare, how_a_gpu_is_shared
from algoprog.sweep.engine.job import PRELOAD, Job, jobs
from algoprog.sweep.engine.pool import Pool
from algoprog.sweep.engine.settings import checked
from algoprog.sweep.engine.together import Shape, grouped, measured, told
from algoprog.sweep.watch.screen import screen
from algoprog.training.devices.free_memory import VARIABLE


class RunFailedError(Exception):
    """A run left no record; the message says how it ended and where its log is."""


class Local(Launcher):
    """Runs jobs in processes, as many at a time as the machine has shares for.

    Args:
        knobs: as in `conf/hydra/launcher/local.yaml`.

    Raises:
        ValueError: a knob cannot be used.
    """

    def __init__(self, knobs: dict[str, Any]) -> None:
        self.settings = checked(knobs)
        self.config: DictConfig | None = None
        self.at_once: int | None = None
        self.share: float | None = None
        self.shapes: Mapping[str, Shape] = {}
        self.alone: Mapping[str, str] = {}

    def limit(self, at_once: int | None, share: float | None) -> None:
        """Start no more runs at a time than memory takes, and tell each how many bytes are its own."""
        self.at_once, self.share = at_once, share

    def join(self, shapes: Mapping[str, Shape], alone: Mapping[str, str]) -> None:
        """Let runs be members: their shapes, and a sentence on those that cannot be, both by name."""
        self.shapes, self.alone = shapes, alone

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hold the knobs against the machine, and let the server load the imports while the sweep is planned.

        Raises:
            ValueError: the GPUs that the knobs name are not there.
        """
        self.config = config
        self.settings.shares(most=1)
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
        if not any(Path(config.hydra.sweep.dir).glob(f"*/{RECORD_FILE}")):  # else perhaps nothing is left to train
            forkserver.ensure_running()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; a failed one does not stop the others."""
        assert self.config is not None
        setup_globals()
        sweep_dir = Path(self.config.hydra.sweep.dir).absolute()
        todo = jobs(job_overrides, sweep_dir)
        settings, shares = self.settings, self._shares(sweep_dir, len(todo))
        work = grouped(todo, self.shapes, len(shares), settings.together, partial(measured, share=shares[0]))
        lines = told(work, self.alone)
        if settings.runs_per_gpu > 1:
            lines.append(f"  {how_a_gpu_is_shared(os.environ)}")
        print("".join(f"{line}\n" for line in lines), end="", flush=True)
        with screen(sweep_dir, [job.folder for job in todo]) as shown:
            pool = Pool(
                work,
                sys.argv[0],
                shares,
                retries=settings.retries,
                timeout=None if settings.timeout is None else settings.timeout * 60,
                fail_fast=settings.fail_fast,
                screen=shown,
            )
            faults = pool.run()
        return [job_return(job, faults[job]) for job in todo]

    def _shares(self, sweep_dir: Path, todo: int) -> list[DeviceShare]:
        """Shares by the size of the whole sweep: a part that goes on later must sum in the same order of threads."""
        own = read_calls(sweep_dir).own
        most = max(todo, own.size if own else 0)
        shares = self.settings.shares(most=min(most, self.at_once or most))[: self.at_once]
        free = self.settings.free_memory()
        share = self.share or (free / len(shares) if free else None)
        return [{**part, VARIABLE: f"{share:.0f}"} for part in shares] if share else shares


def refuse(error: ValueError) -> None:
    """Say what to change and leave.

    Raises:
        SystemExit: always; nothing has been trained.
    """
    print(f"error: {sentence(error)}", file=sys.stderr)
    raise SystemExit(2)


def job_return(job: Job, fault: str | None) -> JobReturn:
    """What Hydra is told about a run that is through."""
    result = JobReturn(overrides=list(job.overrides), working_dir=str(job.folder))
    try:
        result.return_value = None if fault else load_run(job.folder).record.final_val_loss
    except ValueError as error:
        fault = str(error)
    result.status = JobStatus.FAILED if fault else JobStatus.COMPLETED
    if fault:
        result.return_value = RunFailedError(f"{job.name}: {fault}: see {job.folder / LOG_FILE}")
    return result
