"""The two phases of a sweep that searches: trials that choose the settings, then the compared runs at them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoprog import written
from algoprog.runs.calls import begin_call, extend_call
from algoprog.runs.record import FINISHED, RECORD_FILE
from algoprog.runs.store import load_run
from algoprog.sweep.design.compare import Words
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.design.every import LeftOut
from algoprog.sweep.plan.announce import tell, tell_origins, tell_refused, tell_time
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan, adopt, left_out, plan, set_aside, specs_of, views
from algoprog.sweep.search.choices import Choices, read_choices, write_choices
from algoprog.sweep.search.outlook import settled
from algoprog.sweep.search.rounds import Trained, choose
from algoprog.sweep.search.searches import Rates, Searches, searches
from algoprog.sweep.search.settings import Tune
from algoprog.sweep.search.told import chosen, many, others, to_come


@dataclass(frozen=True)
class Sweep:
    """One call of `train.py -m`."""

    folder: Path
    command: str
    compose: Compose
    placement: Placement
    reuse: Path | None
    skip_refused: bool
    fail_fast: bool
    launch: Callable[[Plan], Sequence[Any]]  # what Hydra is told about the runs
    left_out: tuple[LeftOut, ...] = ()  # options that its design is not about, and why


class GaveUpError(Exception):
    """A trial failed where `fail_fast` ends a sweep."""


class Phases:
    """A sweep that chooses settings before it compares.

    Args:
        sweep: where and how the runs are trained.
        tune: the search.
        jobs: the words of every run asked for.
        begun: whether they are part of a sweep that is under way, and has told what it leaves out.
    """

    def __init__(self, sweep: Sweep, tune: Tune, jobs: Sequence[Words], *, begun: bool = False) -> None:
        self.sweep, self.tune, self.begun = sweep, tune, begun
        self.planned: Plan | None = None
        self.rates = Rates(jobs, tune)
        self.returns: list[Any] = []
        self.compared = self._plan(self.rates.jobs)
        if not begun:
            self.compared.refused += sweep.left_out
            tell_refused(self.compared, skip_refused=sweep.skip_refused)
        self.searches = self._searches()
        self.known = read_choices(sweep.folder)
        self._begin()

    def _begin(self) -> None:
        """Say what comes, and note that this process is at it."""
        runs = len({spec.run_id for spec, _ in (*self.compared.baselines, *self.compared.asked)})
        self.size = self.tune.seeds * sum(len(search.cells()) for search in self.searches.all) + runs
        if not self.begun:
            out = left_out(self.compared)
            begin_call(self.sweep.folder, self.sweep.command, {}, expected=self.size, left_out=out)
        how = to_come(self.searches.all, self.known, self.tune)
        print(f"{many(runs, 'run')} to compare in {self.sweep.folder}, {how}")
        print("".join(others(self.searches.all, self.known)), end="", flush=True)

    def run(self) -> Sequence[Any]:
        """Search, then compare.

        Raises:
            ValueError: a run cannot be trained at what was chosen.
        """
        try:
            choices = choose(self.searches.all, self.tune, self.known, self._train, self._keep)
        except GaveUpError:
            return self.returns
        self.planned = planned = self._compared(choices)
        tell_refused(planned, skip_refused=self.sweep.skip_refused)
        tell(planned, self.sweep.folder, self.sweep.placement)
        extend_call(self.sweep.folder, named(planned), views(planned))
        adopt(planned, self.sweep.folder)
        return [*self.returns, *self._launch(planned)]

    def _searches(self) -> Searches:
        runs = (*self.compared.baselines, *self.compared.asked)
        sweep = self.sweep
        return searches(runs, self.rates, lambda jobs: specs_of(jobs, sweep.compose, sweep.placement))

    def _plan(self, jobs: Sequence[Words], baselines: Sequence[Words] | None = None, reuse: Path | None = None) -> Plan:
        sweep = self.sweep
        return plan(
            jobs, sweep.compose, sweep_dir=sweep.folder, reuse=reuse, placement=sweep.placement, baselines=baselines
        )

    def _train(self, jobs: Sequence[Words], name: str) -> list[Trained]:
        """One round of trials."""
        planned = self._plan(jobs, baselines=())
        if planned.refused:
            raise ValueError(planned.refused[0][1])
        count = f"{len(planned.todo)} to train, {len(planned.done)} finished before"
        print(f"{name}: {many(len(planned.asked), 'trial')}: {count}")
        tell_time(planned, self.sweep.folder, self.sweep.placement)
        tell_origins(planned, self.sweep.folder, self.sweep.placement, size=self.size)
        extend_call(self.sweep.folder, named(planned))
        self.returns += self._launch(planned)
        ended = [_ended(self.sweep.folder, planned, words) for words in jobs]
        if self.sweep.fail_fast and any(trial.flops is None for trial in ended):
            raise GaveUpError
        return ended

    def _launch(self, planned: Plan) -> Sequence[Any]:
        set_aside(planned, self.sweep.folder)
        return self.sweep.launch(planned) if planned.todo else []

    def _keep(self, choices: Choices) -> None:
        write_choices(self.sweep.folder, choices)

    def _compared(self, choices: Choices) -> Plan:
        """The compared runs at what was chosen for each."""
        for search in self.searches.all:
            print(chosen(choices[search.id]), file=sys.stdout if choices[search.id].values else sys.stderr)
        asked, baselines = (
            [settled(words, self.rates, self.searches, choices) for _, words in runs]
            for runs in (self.compared.asked, self.compared.baselines)
        )
        return self._plan(asked, baselines, self.sweep.reuse)


def named(planned: Plan) -> dict[str, list[str]]:
    """The words of every run of a plan, as they may be written down, by the name of its folder."""
    return {spec.name: written.words(words) for spec, words in (*planned.done, *planned.reused, *planned.todo)}


def _ended(folder: Path, planned: Plan, words: Words) -> Trained:
    """How a trial ended, from its record; one that left none failed."""
    (spec,) = [spec for spec, other in (*planned.done, *planned.todo) if other == words]
    record = planned.records.get(spec.run_id)
    if record is None and (folder / spec.name / RECORD_FILE).exists():
        record = load_run(folder / spec.name).record
    if record is None:
        return Trained(spec.name, None, None)
    return Trained(spec.name, record.final_val_loss if record.status == FINISHED else None, record.train_flops)
