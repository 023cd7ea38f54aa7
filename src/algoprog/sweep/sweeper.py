"""The Hydra sweeper: what `-m` means here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from algoprog import written
from algoprog.run.precision import keep
from algoprog.runs.calls import begin_call, end_call
from algoprog.runs.mistake import exit_code, sentence
from algoprog.sweep.design.compare import Words
from algoprog.sweep.design.composer import Composer
from algoprog.sweep.design.composition import Compose, composition
from algoprog.sweep.design.every import LeftOut
from algoprog.sweep.design.jobs import design_of, jobs
from algoprog.sweep.design.precision import settled
from algoprog.sweep.plan.announce import tell, tell_refused, tell_unread
from algoprog.sweep.plan.placement import placement
from algoprog.sweep.plan.plan import Plan, adopt, left_out, plan, set_aside, views
from algoprog.sweep.plan.room import hand_over
from algoprog.sweep.screen.screening import Screening
from algoprog.sweep.search.outlook import offer
from algoprog.sweep.search.phases import Phases, Sweep, named
from algoprog.sweep.search.settings import tune_of
from algoprog.sweep.watch.screen import outlive_readers


class Sweeper(BasicSweeper):
    """The runs of a design or of Hydra's product, plus the baselines that gains need, less what is finished already.

    Where `tune` asks for it, a first phase chooses the settings of every model and variant.

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
        assert self.hydra_context is not None
        outlive_readers()
        with _mistakes():
            tell_unread(arguments)
            loader = self.hydra_context.config_loader
            compose = composition(self.config, loader)
            asked = jobs(self.config, arguments, self.params, loader, compose)
            wanted, decision = settled(asked, self.config, Composer(compose))
            if decision is not None:
                print(decision)
                keep(decision, Path(self.config.hydra.sweep.dir))
            design, tune = design_of(self.config, arguments, loader), tune_of(self.config)
            own = self._own(compose, left_out=design.left_out, tolerant=design.tolerant)
            if design.screen is not None:
                start = _mistakes()(Screening(own, design.screen, tune, wanted).run)
            elif tune is not None:
                start = _mistakes()(Phases(own, tune, wanted).run)
            else:
                start = partial(own.launch, _begin(own, wanted))
        try:
            return start()
        except KeyboardInterrupt:
            again = f"the same command with hydra.sweep.dir={own.folder} goes on with the others"
            print(f"\ninterrupted: finished runs are kept, {again}", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            end_call(own.folder)

    def _own(self, compose: Compose, *, left_out: Sequence[LeftOut], tolerant: bool) -> Sweep:
        """This call."""
        assert self.config is not None
        return Sweep(
            folder=Path(self.config.hydra.sweep.dir),
            command=written.command(sys.argv[0], sys.argv[1:]),
            compose=compose,
            placement=placement(self.config),
            reuse=self.reuse,
            skip_refused=self.skip_refused or tolerant,
            left_out=tuple(left_out),
            fail_fast=bool(self.config.hydra.launcher.get("fail_fast")),
            launch=self._launch,
        )

    def _launch(self, planned: Plan) -> Sequence[Any]:
        assert self.launcher is not None
        assert self.config is not None
        hand_over(planned, self.launcher, placement(self.config))
        return self.launcher.launch(planned.to_launch(), initial_job_idx=0) if planned.todo else []


def _begin(sweep: Sweep, wanted: Sequence[Words]) -> Plan:
    """The plan of a sweep of one phase, told and noted."""
    planned = plan(wanted, sweep.compose, sweep_dir=sweep.folder, reuse=sweep.reuse, placement=sweep.placement)
    planned.refused += sweep.left_out
    tell_refused(planned, skip_refused=sweep.skip_refused)
    tell(planned, sweep.folder, sweep.placement)
    if planned.todo and (line := offer(wanted, planned)):
        print(line, flush=True)
    begin_call(sweep.folder, sweep.command, named(planned), views=views(planned), left_out=left_out(planned))
    adopt(planned, sweep.folder)
    set_aside(planned, sweep.folder)
    return planned


@contextmanager
def _mistakes() -> Iterator[None]:
    """Turn what the user can mend into one sentence.

    Raises:
        SystemExit: there was such a mistake (2), or the disk is full (1).
    """
    try:
        yield
    except (OSError, ValueError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
