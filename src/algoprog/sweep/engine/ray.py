"""The Ray engine, `hydra/launcher=ray`: one remote task a run, and in it the run as a process of its own.

Ray places the tasks, gives out GPUs and parts of them, and starts a task again elsewhere when its node dies.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from ray.exceptions import RayError

from algoprog.sweep.engine.devices import cores
from algoprog.sweep.engine.job import GRACE_SECONDS, Job, jobs
from algoprog.sweep.engine.local import job_return
from algoprog.sweep.engine.pool import signals_interrupt
from algoprog.sweep.engine.ray_settings import RaySettings
from algoprog.sweep.engine.remote import Attempts, Ended, carry_out, follow
from algoprog.sweep.watch.screen import screen
from algoprog.training.devices.free_memory import VARIABLE, free_memory

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
STORE_BYTES = 80_000_000
"""Ray's shared memory where it is started here; runs exchange nothing through it."""


class Ray(Launcher):
    """Runs jobs as tasks of a Ray cluster.

    Args:
        settings: as in `conf/hydra/launcher/ray.yaml`.
    """

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what launching needs."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run every job; a failed one does not stop the others.

        Raises:
            ValueError: the cluster does not answer, or is too small for a run.
            KeyboardInterrupt: Ctrl-C or SIGTERM; every run was ended first.
        """
        assert self.config is not None
        setup_globals()
        sweep_dir = Path(self.config.hydra.sweep.dir).absolute()
        todo = jobs(job_overrides, sweep_dir)
        with _cluster(self.settings), signals_interrupt(), screen(sweep_dir, [job.folder for job in todo]) as shown:
            pending = {self._submit(job): job for job in todo}

            def look() -> list[tuple[Job, Ended]]:
                ended = ray.wait(list(pending), timeout=LOOK_SECONDS)[0]
                return [(pending.pop(ref), _outcome(ref)) for ref in ended]

            faults = follow(
                todo, look, lambda _: _cancel(list(pending)), fail_fast=self.settings.fail_fast, screen=shown
            )
        return [job_return(job, faults[job]) for job in todo]

    def _submit(self, job: Job) -> Any:
        settings = self.settings
        task = ray.remote(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            max_retries=settings.max_retries,
        )(_task)
        minutes = settings.timeout
        return task.options(name=job.name).remote(
            job,
            str(Path(sys.argv[0]).absolute()),
            str(Path.cwd()),
            threads=max(1, int(settings.num_cpus)),
            attempts=Attempts(settings.retries, minutes and minutes * 60),
        )


def _task(job: Job, script: str, folder: str, *, threads: int, attempts: Attempts) -> Ended:
    """What a worker of Ray does for a run.

    Raises:
        FileNotFoundError: the machine does not see the folder that the sweep was started in.
    """
    os.chdir(folder)
    share = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", ""),  # as Ray shows them to this task
    }
    free = free_memory()
    if free:
        share[VARIABLE] = f"{free * min(1.0, threads / cores()):.0f}"
    return carry_out(job, script, share, attempts)


@contextmanager
def _cluster(settings: RaySettings) -> Iterator[None]:
    """A connection to the cluster, or a Ray of this machine for as long as the sweep takes.

    Raises:
        ValueError: the cluster does not answer, or no node of it is large enough for a run.
    """
    local = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if settings.is_local else {}
    _knock(settings.address)
    try:
        ray.init(
            address=settings.address,
            runtime_env={"env_vars": _environment(settings.environment)},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **local,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(f"no Ray cluster answers at hydra.launcher.address={settings.address}: {said}") from None
    try:
        _check_size(settings)
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ask the machine that is named whether anybody listens; Ray itself would try for minutes.

    Raises:
        ValueError: nobody does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"no Ray cluster answers at hydra.launcher.address={address}: {error}") from None


def _environment(names: Sequence[str]) -> dict[str, str]:
    """The named variables of this process: workers see those of their node, not ours."""
    passed = {name: os.environ[name] for name in names if name in os.environ}
    if "PYTHONPATH" in passed:
        passed["PYTHONPATH"] = os.pathsep.join(
            str(Path(part).absolute()) for part in passed["PYTHONPATH"].split(os.pathsep)
        )
    return passed


def _check_size(settings: RaySettings) -> None:
    """A run that fits on no node would wait for ever.

    Raises:
        ValueError: no node has what a run needs.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": settings.num_cpus, "GPU": settings.num_gpus}
    if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        largest = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
        raise ValueError(
            f"a run wants num_cpus={settings.num_cpus:g} and num_gpus={settings.num_gpus:g}, and no node of the Ray"
            f" cluster has both (the most are {largest['CPU']:g} and {largest['GPU']:g}):"
            " lower hydra.launcher.num_cpus or num_gpus"
        )


def _outcome(ref: Any) -> Ended:
    """How the run went; where its task could not say, what Ray says."""
    try:
        outcome: Ended = ray.get(ref)
    except RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Ended(f"{type(error).__name__}: {lines[-1] if lines else ''}", 0.0)
    return outcome


def _cancel(refs: list[Any]) -> None:
    """End tasks, with time for a checkpoint."""
    for ref in refs:
        ray.cancel(ref)
    if refs:
        ray.wait(refs, num_returns=len(refs), timeout=GRACE_SECONDS + 5)
