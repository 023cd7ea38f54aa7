"""The Slurm engine, `hydra/launcher=slurm`: hydra-submitit-launcher, with each run as a process of its own.

Slurm's task starts the run, passes on what Slurm asks for, and reports how the run went; so a run that dies, in
whatever way, is one result among the others. submitit submits, requeues and waits.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import submitit
from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import DictConfig, OmegaConf
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError

from algoprog.sweep.engine import slurm_settings
from algoprog.sweep.engine.job import Job, jobs
from algoprog.sweep.engine.local import job_return
from algoprog.sweep.engine.pool import signals_interrupt
from algoprog.sweep.engine.process import RunProcess, end
from algoprog.sweep.engine.remote import Attempts, Ended, carry_out, follow, serve
from algoprog.sweep.engine.slurm_check import answering, cancel, refuse_secrets, tasks
from algoprog.sweep.watch.screen import screen

LOOK_SECONDS = 1.0


class Slurm(SlurmLauncher):  # type: ignore[misc]  # hydra-submitit-launcher has no types
    """Submits the runs of a sweep as one job array and waits for all of them.

    Args:
        knobs: as in `conf/hydra/launcher/slurm.yaml`; those that are not ours by submitit's names.

    Raises:
        ValueError: a knob cannot be used.
    """

    def __init__(self, knobs: Mapping[str, Any]) -> None:
        own = slurm_settings.check(knobs)
        super().__init__(**{name: value for name, value in knobs.items() if name not in own})
        self.attempts = Attempts(own["retries"], own["timeout"] and own["timeout"] * 60)
        self.fail_fast = own["fail_fast"]

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Ask the cluster whether it is there, before anything is planned.

        Raises:
            ValueError: Slurm does not answer, or the tasks are not the devices.
        """
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        answering(self.params.get("partition"))
        self.params["tasks_per_node"] = tasks(self.params["tasks_per_node"], config.trainer.devices)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit every run and wait; a failed one does not stop the others.

        Raises:
            ValueError: Slurm refuses the jobs, or a word holds a secret.
            KeyboardInterrupt: Ctrl-C or SIGTERM; what was submitted is cancelled.
        """
        setup_globals()
        sweep_dir = Path(self.config.hydra.sweep.dir).absolute()
        todo = jobs(job_overrides, sweep_dir)
        refuse_secrets(todo)
        task = Task(str(Path(sys.argv[0]).absolute()), self.attempts)
        with signals_interrupt(), screen(sweep_dir, [job.folder for job in todo]) as shown:
            submitted = dict(zip(todo, self._submit(task, todo, sweep_dir), strict=True))
            told: set[Job] = set()

            def look() -> list[tuple[Job, Ended]]:
                time.sleep(LOOK_SECONDS)
                ended = [job for job in todo if job not in told and submitted[job].done()]
                told.update(ended)
                return [(job, _outcome(submitted[job])) for job in ended]

            def stop(left: Sequence[Job]) -> None:
                cancel([submitted[job].job_id for job in left])

            faults = follow(todo, look, stop, fail_fast=self.fail_fast, screen=shown)
        return [job_return(job, faults[job]) for job in todo]

    def _submit(self, task: Task, todo: Sequence[Job], sweep_dir: Path) -> list[submitit.Job[Ended]]:
        """One job array, with the parameters named as submitit wants them."""
        params = dict(self.params)
        folder = str(Path(params.pop("submitit_folder")).absolute())
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=params.pop("max_num_timeout"))
        general = set(OmegaConf.structured(BaseQueueConf).keys())
        try:
            executor.update_parameters(**{key if key in general else f"slurm_{key}": params[key] for key in params})
            sweep_dir.mkdir(parents=True, exist_ok=True)
            return executor.map_array(task, todo)
        except (FailedJobError, FailedSubmissionError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ValueError(f"Slurm refuses the jobs: {lines[-1]}") from None


@dataclass(frozen=True)
class Task:
    """What Slurm starts for a run, once for each of its devices.

    Args:
        script: path of train.py.
        attempts: how often a run whose process died is tried, and how long.
    """

    script: str
    attempts: Attempts

    def __call__(self, job: Job) -> Ended:
        """Train the run, or be a further device of it."""
        share = _share()
        with _deaf():
            serve()
        if int(os.environ["SLURM_PROCID"]):
            return self._follow(job, share)
        retries = self.attempts.retries if os.environ["SLURM_NTASKS"] == "1" else 0  # other ranks cannot begin again
        try:
            return carry_out(job, self.script, share, replace(self.attempts, retries=retries))
        except KeyboardInterrupt:
            print("stopped: Slurm takes the node back", flush=True)
            while True:  # a result would say that the run is through
                signal.pause()

    def checkpoint(self, job: Job) -> submitit.helpers.DelayedSubmission:
        """End the run with a checkpoint, to go on after a requeue; submitit asks shortly before the time limit."""
        end([child.pid for child in multiprocessing.active_children() if child.pid is not None])
        return submitit.helpers.DelayedSubmission(self, job)

    def _follow(self, job: Job, share: dict[str, str]) -> Ended:
        began = time.monotonic()
        rank = RunProcess(multiprocessing.get_context("forkserver"), job, self.script, share, beside=0)
        rank.start()
        rank.process.join()
        return Ended(None, time.monotonic() - began)  # the first task judges the run


@contextmanager
def _deaf() -> Iterator[None]:
    """Let what is started here ignore the signals that Slurm sends to all processes of a job."""
    previous = {signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGTERM, signal.SIGUSR2)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _share() -> dict[str, str]:
    """The cores that Slurm gave, and the GPUs that it shows."""
    threads = os.environ.get("SLURM_CPUS_PER_TASK", "1")
    share = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return share if visible is None else {**share, "CUDA_VISIBLE_DEVICES": visible}


def _outcome(submitted: submitit.Job[Ended]) -> Ended:
    """How the run went; where its task could not say, what Slurm says."""
    try:
        return submitted.results()[0]
    except FailedJobError as error:
        lines = [line for line in str(error).splitlines() if ": " in line]
        return Ended(f"the task failed: {lines[-1] if lines else error}", 0.0)
    except UncompletedJobError:
        state = submitted.get_info(mode="force").get("State", "UNKNOWN")
        return Ended(f"Slurm says {state} of job {submitted.job_id}, see {submitted.paths.stderr}", 0.0)
