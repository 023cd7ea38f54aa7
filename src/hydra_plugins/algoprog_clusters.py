"""The launchers for clusters, as Hydra finds them; each needs an extra of the package."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NoReturn

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Cluster(Launcher):
    """Passes everything on to an engine, and turns what the user can mend into one sentence."""

    inner: Any

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Passed on."""
        try:
            self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        except ValueError as error:
            _refuse(error)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Passed on."""
        try:
            return self.inner.launch(job_overrides, initial_job_idx)
        except ValueError as error:
            _refuse(error)


class SlurmLauncher(_Cluster):
    """`hydra/launcher=slurm`; see `algoprog.sweep.engine.slurm`."""

    def __init__(self, **knobs: Any) -> None:
        _need("slurm", "submitit", "hydra_plugins.hydra_submitit_launcher")
        from algoprog.sweep.engine.slurm import Slurm

        try:
            self.inner = Slurm(knobs)
        except ValueError as error:
            _refuse(error)


class RayLauncher(_Cluster):
    """`hydra/launcher=ray`; see `algoprog.sweep.engine.ray`."""

    def __init__(self, **knobs: Any) -> None:
        _need("ray", "ray")
        from algoprog.sweep.engine.ray import Ray
        from algoprog.sweep.engine.ray_settings import checked

        try:
            self.inner = Ray(checked(knobs))
        except ValueError as error:
            _refuse(error)


def _need(extra: str, *packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        _refuse(f"hydra/launcher={extra} needs {' and '.join(missing)}: pip install 'algoprog[{extra}]'")


def _refuse(message: object) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)
