"""A sweep that screens: what is left of its variants is trained look by look and model by model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from algoprog.ceg.curves import Curve, curves_from_runs
from algoprog.ceg.metric import curves_in, metric_of
from algoprog.ceg.screening.decide import look
from algoprog.ceg.screening.decisions import Decisions, read_decisions, write_decisions
from algoprog.ceg.screening.rule import Screen
from algoprog.runs.calls import begin_call, extend_call
from algoprog.runs.record import BASELINE, RECORD_FILE, SCREENING_FILE, Run
from algoprog.runs.store import load_run
from algoprog.sweep.design.compare import Words
from algoprog.sweep.plan.announce import tell, tell_refused
from algoprog.sweep.plan.plan import Checked, Plan, adopt, left_out, plan, set_aside, views
from algoprog.sweep.screen.rungs import Stage, decided_jobs, next_stage, rungs_of
from algoprog.sweep.screen.told import after, before, outcome
from algoprog.sweep.search.phases import GaveUpError, Phases, Sweep, named
from algoprog.sweep.search.searches import Rates
from algoprog.sweep.search.settings import Tune
from algoprog.sweep.search.told import many


class Screening:
    """A sweep whose variants are dropped once their seeds show that they gain too little.

    Args:
        sweep: where and how the runs are trained.
        screen: the rule.
        tune: the search that every variant and model that is reached gets; None for none.
        jobs: the words of every run that the sweep may train.
    """

    def __init__(self, sweep: Sweep, screen: Screen, tune: Tune | None, jobs: Sequence[Words]) -> None:
        self.sweep, self.tune = sweep, tune
        self.returns: list[Any] = []
        planned = self._plan(Rates(jobs, tune).jobs if tune else jobs)
        planned.refused += sweep.left_out
        tell_refused(planned, skip_refused=sweep.skip_refused)
        self.rungs = rungs_of(planned, screen)
        self.decisions = self._known(screen)
        self.aside: set[str] = set()
        print(before(self.rungs, self.decisions, sweep.folder), flush=True)
        begin_call(sweep.folder, sweep.command, {}, left_out=left_out(planned))

    def run(self) -> Sequence[Any]:
        """Train what is left, look, and go on until all is decided.

        Raises:
            ValueError: a run cannot be trained at what was chosen, or nothing can be measured.
        """
        try:
            if known := decided_jobs(self.rungs, self.decisions):
                self._trained(known)
            while stage := next_stage(self.rungs, self.decisions, self.aside):
                self._look(stage)
        except GaveUpError:
            return self.returns
        print(outcome(self.rungs, self.decisions, self.aside), flush=True)
        return self.returns

    def _look(self, stage: Stage) -> None:
        """Train what a look needs, and decide."""
        print(f"{stage.name}: {many(len(stage.alive), 'variant')}", flush=True)
        ended = self._trained(stage.jobs)
        failed = {spec.variant for spec, run in ended if run is None}
        if BASELINE in failed or (failed and self.sweep.fail_fast):
            print(f"{stage.name}: nothing is decided, for runs failed: the same command goes on", file=sys.stderr)
            raise GaveUpError
        curves = _curves([run for spec, run in ended if run is not None and spec.variant not in failed])
        decisions = look(curves, seeds=stage.seeds, gate=self.decisions.screen.gate, level=stage.level)
        new = [one for one in decisions if (one.model, one.variant, one.seeds) not in self.decisions.found]
        self.decisions = self.decisions.with_more(new)
        self.aside |= {*stage.alive} - {one.variant for one in decisions}  # failed, or found no room in memory
        write_decisions(self.sweep.folder, self.decisions)
        print(after(stage, new), flush=True)

    def _trained(self, jobs: Sequence[Words]) -> list[tuple[Any, Run | None]]:
        """The runs of these words, trained if they are not; None for one that failed."""
        planned = self._searched(jobs) if self.tune else self._trained_as_they_are(jobs)
        wanted = (*planned.done, *planned.reused, *planned.todo)
        return [(spec, self._read(planned, (spec, words))) for spec, words in wanted]

    def _trained_as_they_are(self, jobs: Sequence[Words]) -> Plan:
        sweep, planned = self.sweep, self._plan(jobs)
        tell(planned, sweep.folder, sweep.placement)
        extend_call(sweep.folder, named(planned), views(planned))
        adopt(planned, sweep.folder)
        set_aside(planned, sweep.folder)
        self.returns += sweep.launch(planned) if planned.todo else []
        return planned

    def _searched(self, jobs: Sequence[Words]) -> Plan:
        """The same after the search of every variant that has none yet."""
        assert self.tune is not None
        phases = Phases(self.sweep, self.tune, jobs, begun=True)
        self.returns += phases.run()
        if phases.planned is None:
            raise GaveUpError
        return phases.planned

    def _plan(self, jobs: Sequence[Words]) -> Plan:
        sweep = self.sweep
        return plan(jobs, sweep.compose, sweep_dir=sweep.folder, reuse=sweep.reuse, placement=sweep.placement)

    def _read(self, planned: Plan, checked: Checked) -> Run | None:
        """A run as this sweep compares it."""
        spec, _ = checked
        folder = self.sweep.folder / spec.name
        if not (folder / RECORD_FILE).exists():
            return None
        run = load_run(folder)
        return replace(run, record=replace(run.record, variant=spec.variant, cohort=spec.cohort, model=spec.model))

    def _known(self, screen: Screen) -> Decisions:
        """What was decided before, by the same rule.

        Raises:
            ValueError: it was by another.
        """
        models = tuple(rung.model for rung in self.rungs)
        known = read_decisions(self.sweep.folder)
        if known is not None and (known.screen, known.models) != (screen, models):
            was = f"gate={known.screen.gate:g} looks={list(known.screen.looks)} error={known.screen.error:g}"
            raise ValueError(
                f"{self.sweep.folder / SCREENING_FILE} holds decisions by {was} spending={known.screen.spending} over"
                f" {', '.join(known.models)}: keep to them, or give the other screen its own hydra.sweep.dir"
            )
        return known or Decisions(screen, models, {})


def _curves(runs: Sequence[Run]) -> list[Curve]:
    """In what the sweep compares losses by."""
    metric = metric_of(runs)
    return curves_in(curves_from_runs(runs), metric)
