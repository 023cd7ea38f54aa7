"""The Hydra sweeper: what `-m` means here."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from algoprog.overrides import quoted
from algoprog.runs.store import write_sweep
from algoprog.sweep.plan import Plan, adopt, plan


class Sweeper(BasicSweeper):
    """Hydra's product of choices, plus the baselines that gains need, less what is finished already.

    Args:
        params: choices swept unless the command line says otherwise.
        reuse: folder searched for finished baselines; None searches none.
    """

    def __init__(self, params: dict[str, str] | None, reuse: str | None) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.reuse = Path(reuse) if reuse else None

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, say what will happen, and launch.

        Raises:
            SystemExit: nothing can be trained, or a combination is impossible; nothing has been trained then.
        """
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        sweep_dir = Path(self.config.hydra.sweep.dir)
        try:
            planned = plan(self._jobs(arguments), self._compose, sweep_dir=sweep_dir, reuse=self.reuse)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        _announce(planned, sweep_dir)
        runs = {spec.name: overrides for spec, overrides in (*planned.done, *planned.reused, *planned.todo)}
        write_sweep(sweep_dir, shlex.join(["python", *sys.argv]), runs)
        adopt(planned, sweep_dir)
        jobs = [[*overrides, f"hydra.sweep.subdir={quoted(spec.name)}"] for spec, overrides in planned.todo]
        try:
            return self.launcher.launch(jobs, initial_job_idx=0) if jobs else []
        except KeyboardInterrupt:
            again = f"the same command with hydra.sweep.dir={sweep_dir} goes on with the others"
            print(f"\ninterrupted: finished runs are kept, {again}", file=sys.stderr)
            raise SystemExit(130) from None

    def _jobs(self, arguments: list[str]) -> list[list[str]]:
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        words = parser.parse_overrides([*self._parse_config(), *arguments])
        return [list(job) for job in self.split_arguments(words, None)[0]]

    def _compose(self, overrides: list[str]) -> DictConfig:
        assert self.config is not None
        assert self.hydra_context is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)


def _announce(planned: Plan, sweep_dir: Path) -> None:
    """One line on what will be trained, and a sentence for everything that nobody asked for or that cannot be."""
    for overrides, reason in planned.refused:
        print(f"error: {' '.join(overrides)}: {reason}", file=sys.stderr)
    if planned.refused:
        print("Nothing was trained: change or leave out the combinations above.", file=sys.stderr)
        raise SystemExit(2)
    total = len(planned.todo) + len(planned.done) + len(planned.reused)
    print(f"{total} runs in {sweep_dir}: {len(planned.todo)} to train, {len(planned.done)} finished before")
    for spec in planned.added:
        print(f"  added the baseline {spec.name}: gains are measured against it")
    for spec, _ in planned.reused:
        print(f"  found the baseline {spec.name} in {planned.sources[spec.run_id]}")
    sys.stdout.flush()
