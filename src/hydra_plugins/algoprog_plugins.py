"""Hydra finds plugins only below this package; the code is in `algoprog.sweep`, imported when a sweep starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """`hydra/launcher=local`; see `algoprog.sweep.engine.local`."""

    def __init__(self, **knobs: Any) -> None:
        from algoprog.sweep.engine.local import Local, refuse

        try:
            self.inner = Local(knobs)
        except ValueError as error:
            refuse(error)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Passed on."""
        from algoprog.sweep.engine.local import refuse

        try:
            self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        except ValueError as error:
            refuse(error)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Passed on."""
        return self.inner.launch(job_overrides, initial_job_idx)


class AlgoprogSweeper(Sweeper):
    """`hydra/sweeper=algoprog`; see `algoprog.sweep.sweeper`."""

    def __init__(self, params: dict[str, str] | None, reuse: str | None, skip_refused: bool) -> None:
        from algoprog.sweep.sweeper import Sweeper as Inner

        self.inner = Inner(params, reuse, skip_refused)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Passed on."""
        self.inner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Passed on."""
        return self.inner.sweep(arguments)
