"""The two phases of a sweep that searches: trials that choose the settings, then the compared runs at them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoprog.runs.calls import begin_call, extend_call
from algoprog.runs.record import FINISHED, RECORD_FILE
from algoprog.runs.store import load_run
from algoprog.sweep.design.jobs import Job
from algoprog.sweep.plan.announce import tell, tell_origins, tell_refused
from algoprog.sweep.plan.composer import Compose
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan, adopt, plan, set_aside, specs_of
from algoprog.sweep.search.choices import Choice, Choices, read_choices, write_choices
from algoprog.sweep.search.rounds import Trained, choose
from algoprog.sweep.search.searches import Rates, Searches, assignments, searches, without
from algoprog.sweep.search.settings import Tune


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


class GaveUpError(Exception):
    """A trial failed where `fail_fast` ends a sweep."""


class Phases:
    """A sweep that chooses settings before it compares.

    Args:
        sweep: where and how the runs are trained.
        tune: the search.
        jobs: the words of every run asked for.
    """

    def __init__(self, sweep: Sweep, tune: Tune, jobs: Sequence[Job]) -> None:
        self.sweep, self.tune = sweep, tune
        self.rates = Rates(jobs, tune)
        self.returns: list[Any] = []
        self.compared = self._plan(self.rates.jobs)
        tell_refused(self.compared, skip_refused=sweep.skip_refused)
        self.searches = self._searches()
        self.known = read_choices(sweep.folder)
        self._begin()

    def _begin(self) -> None:
        """Say what comes, and note that this process is at it."""
        open_searches = [search for search in self.searches.all if search.id not in self.known]
        least = sum(len(search.cells()) for search in self.searches.all)
        runs = len({spec.run_id for spec, _ in (*self.compared.baselines, *self.compared.asked)})
        self.size = least + runs
        begin_call(self.sweep.folder, self.sweep.command, {}, expected=self.size)
        print(f"{runs} runs to compare in {self.sweep.folder}, after a search on seed {self.tune.seed}:", _spread(
            len(open_searches), sum(len(search.cells()) for search in open_searches),
            self.tune.max_trials * len(open_searches), len(self.searches.all) - len(open_searches),
        ), flush=True)  # fmt: skip

    def run(self) -> Sequence[Any]:
        """Search, then compare.

        Raises:
            ValueError: a run cannot be trained at what was chosen.
        """
        try:
            choices = choose(self.searches.all, self.tune, self.known, self._train, self._keep)
        except GaveUpError:
            return self.returns
        planned = self._compared(choices)
        tell_refused(planned, skip_refused=self.sweep.skip_refused)
        tell(planned, self.sweep.folder, self.sweep.placement)
        extend_call(self.sweep.folder, named(planned))
        adopt(planned, self.sweep.folder)
        return [*self.returns, *self._launch(planned)]

    def _searches(self) -> Searches:
        runs = (*self.compared.baselines, *self.compared.asked)
        sweep = self.sweep
        return searches(runs, self.rates, lambda jobs: specs_of(jobs, sweep.compose, sweep.placement))

    def _plan(self, jobs: Sequence[Job], baselines: Sequence[Job] | None = None, reuse: Path | None = None) -> Plan:
        sweep = self.sweep
        return plan(
            jobs, sweep.compose, sweep_dir=sweep.folder, reuse=reuse, placement=sweep.placement, baselines=baselines
        )

    def _train(self, jobs: Sequence[Job], name: str) -> list[Trained]:
        """One round of trials."""
        planned = self._plan(jobs, baselines=())
        if planned.refused:
            raise ValueError(planned.refused[0][1])
        count = f"{len(planned.todo)} to train, {len(planned.done)} finished before"
        print(f"{name}: {len(planned.asked)} trials: {count}")
        tell_origins(planned, self.sweep.folder, self.sweep.placement, size=self.size)
        extend_call(self.sweep.folder, named(planned))
        self.returns += self._launch(planned)
        ended = [_ended(self.sweep.folder, planned, spec.run_id, spec.name) for spec, _ in planned.asked]
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
            print(_told(choices[search.id]), file=sys.stdout if choices[search.id].values else sys.stderr)

        def chosen(words: Job) -> Job:
            values = choices[self.searches.owner[self.rates.group(words)]].values
            if not values:
                return self.rates.configured(words)
            return [*without(words, self.tune.settings), *assignments(values)]

        asked = [chosen(words) for _, words in self.compared.asked]
        return self._plan(asked, [chosen(words) for _, words in self.compared.baselines], self.sweep.reuse)


def named(planned: Plan) -> dict[str, list[str]]:
    """The words of every run of a plan by the name of its folder."""
    return {spec.name: words for spec, words in (*planned.done, *planned.reused, *planned.todo)}


def _ended(folder: Path, planned: Plan, run_id: str, name: str) -> Trained:
    """How a trial ended, from its record; one that left none failed."""
    record = planned.records.get(run_id)
    if record is None and (folder / name / RECORD_FILE).exists():
        record = load_run(folder / name).record
    if record is None:
        return Trained(name, None, None)
    return Trained(name, record.final_val_loss if record.status == FINISHED else None, record.train_flops)


def _spread(searches: int, least: int, most: int, known: int) -> str:
    """How many trials are to come."""
    before = f", {known} chosen before" if known else ""
    return f"{searches} searches of {least} to {most} trials together{before}" if searches else f"all{before[1:]}"


def _told(choice: Choice) -> str:
    """One line on what a search chose."""
    who, trials = f"{choice.model} {choice.variant}", f"{len(choice.trials)} trials"
    if not choice.values:
        return f"  {who}: all {trials} failed or diverged: its runs take what is configured"
    values = ", ".join(f"{setting}={value:g}" for setting, value in choice.values.items())
    failed = sum(trial.loss is None for trial in choice.trials)
    notes = f", {failed} without a vote" if failed else ""
    edge = ", the best at the edge of the grid" if choice.edge else ""
    return f"  {who}: {values} from {trials}{notes}{edge}"
