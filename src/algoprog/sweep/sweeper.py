"""The Hydra sweeper: what `-m` means here."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from omegaconf import DictConfig

from algoprog.overrides import quoted
from algoprog.run import provenance
from algoprog.run.provenance import environment
from algoprog.runs.calls import begin_call, end_call
from algoprog.runs.mistake import sentence
from algoprog.runs.record import Record
from algoprog.runs.secrets import redacted
from algoprog.sweep.design.jobs import jobs
from algoprog.sweep.plan.condition import announce
from algoprog.sweep.plan.placement import Placement, placement
from algoprog.sweep.plan.plan import Plan, adopt, plan, set_aside
from algoprog.sweep.watch.screen import outlive_readers


class Sweeper(BasicSweeper):
    """The runs of a design or of Hydra's product, plus the baselines that gains need, less what is finished already.

    Args:
        params: choices swept unless the command line says otherwise.
        reuse: folder searched for finished baselines; None searches none.
        skip_refused: whether combinations that cannot be trained are left out instead of stopping the sweep.
    """

    def __init__(self, params: dict[str, str] | None, reuse: str | None, skip_refused: bool) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.reuse = Path(reuse) if reuse else None
        self.skip_refused = skip_refused

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, say what will happen, and launch.

        Raises:
            SystemExit: nothing can be trained, or a combination is impossible; nothing has been trained then.
        """
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        sweep_dir = Path(self.config.hydra.sweep.dir)
        outlive_readers()
        try:
            wanted = jobs(self.config, arguments, self.params, self.hydra_context.config_loader)
            where = placement(self.config)
            planned = plan(wanted, self._compose, sweep_dir=sweep_dir, reuse=self.reuse, placement=where)
            _announce(planned, sweep_dir, where, skip_refused=self.skip_refused)
            runs = {spec.name: overrides for spec, overrides in (*planned.done, *planned.reused, *planned.todo)}
            begin_call(sweep_dir, shlex.join(["python", *sys.argv]), runs)
            adopt(planned, sweep_dir)
            set_aside(planned, sweep_dir)
        except (OSError, ValueError) as error:
            print(f"error: {sentence(error)}", file=sys.stderr)
            raise SystemExit(2) from None
        words = [[*overrides, f"hydra.sweep.subdir={quoted(spec.name)}"] for spec, overrides in planned.todo]
        try:
            return self.launcher.launch(words, initial_job_idx=0) if words else []
        except KeyboardInterrupt:
            again = f"the same command with hydra.sweep.dir={sweep_dir} goes on with the others"
            print(f"\ninterrupted: finished runs are kept, {again}", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            end_call(sweep_dir)

    def _compose(self, overrides: list[str]) -> DictConfig:
        assert self.config is not None
        assert self.hydra_context is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)


def _announce(planned: Plan, sweep_dir: Path, where: Placement, *, skip_refused: bool) -> None:
    """One line on what will be trained, and a sentence for everything that nobody asked for or that cannot be."""
    _tell_refused(planned, skip_refused=skip_refused)
    total = len(planned.todo) + len(planned.done) + len(planned.reused)
    left_out = f", {len(planned.refused)} refused and left out" if planned.refused else ""
    print(f"{total} runs in {sweep_dir}: {len(planned.todo)} to train, {len(planned.done)} finished before{left_out}")
    for spec in planned.added:
        print(f"  added the baseline {spec.name}: gains are measured against it")
    threads = where.threads(total)
    for spec, _ in planned.reused:
        differs = differences(planned.records[spec.run_id], spec.config["trainer"]["threads"] or threads)
        print(f"  found the baseline {spec.name} in {planned.sources[spec.run_id]}{differs}")
    for differs, names in _done_otherwise(planned, threads).items():
        print(f"  {names[0] if len(names) == 1 else f'{len(names)} runs'}, finished before{differs}")
    print(announce({spec.name: sweep_dir / spec.name for spec, _ in planned.todo}), end="", flush=True)


def _done_otherwise(planned: Plan, threads: int | None) -> dict[str, list[str]]:
    """Names of the finished runs that were made otherwise than they would be now, by how."""
    found: dict[str, list[str]] = {}
    for spec, _ in planned.done:
        differs = differences(planned.records[spec.run_id], spec.config["trainer"]["threads"] or threads)
        if differs:
            found.setdefault(differs, []).append(spec.name)
    return found


def _tell_refused(planned: Plan, *, skip_refused: bool) -> None:
    """List what cannot be trained.

    Raises:
        SystemExit: there is such a combination and none may be left out, or nothing is left.
    """
    lead = "left out" if skip_refused else "error"
    for reason in dict.fromkeys(reason for _, reason in planned.refused):
        same = [" ".join(overrides) for overrides, other in planned.refused if other == reason]
        text = f"{same[0]}: {reason}" if len(same) == 1 else "\n  ".join([f"{reason}:", *same])
        print(redacted(f"{lead}: {text}"), file=sys.stderr)
    if not planned.refused or (skip_refused and (planned.todo or planned.done)):
        return
    remedy = "change them" if skip_refused else "change or leave out these, or add hydra.sweeper.skip_refused=true"
    count = len(planned.refused)
    what = f"{count} combinations are impossible" if count > 1 else "1 combination is impossible"
    print(f"Nothing was trained, {what}: {remedy}.", file=sys.stderr)
    raise SystemExit(2)


def differences(record: Record, threads: int | None) -> str:
    """How a record from elsewhere was made otherwise than runs of this sweep will be; empty where it was not.

    Args:
        record: of the run from elsewhere.
        threads: CPU threads that the runs of this sweep will use; None where that is not known.
    """
    now = environment() if threads is None else {**environment(), "threads": threads}
    found = provenance.described(provenance.differences(record.environment, now))
    return f": trained {'; '.join(found)}; losses may differ in the last digits, seconds do" if found else ""
