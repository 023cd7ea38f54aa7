"""What a screening sweep will train next in any case, and what it may train at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from algoprog.ceg.screening.decisions import Decisions, read_decisions
from algoprog.ceg.screening.rule import Screen
from algoprog.sweep.design.compare import Words
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan, plan
from algoprog.sweep.screen.rungs import Rung, decided_jobs, next_stage, rungs_of
from algoprog.sweep.search.outlook import Further
from algoprog.sweep.search.searches import Rates
from algoprog.sweep.search.settings import Tune


@dataclass(frozen=True)
class Outlook:
    """The runs of a sweep that screens, as far as they are known."""

    whole: Plan  # if nothing is ever dropped
    jobs: list[Words]  # what decisions rest on, and what the next look needs
    later: list[Further]  # runs that come if variants are kept, and at most so many trials


def outlook(
    jobs: Sequence[Words], screen: Screen, tune: Tune | None, compose: Compose, folder: Path, where: Placement
) -> Outlook:
    """What `train.py -m` would do with these runs.

    Raises:
        ValueError: the screen makes no sense.
    """
    asked = Rates(jobs, tune).jobs if tune else jobs
    whole = plan(asked, compose, sweep_dir=folder, reuse=None, placement=where)
    rungs = rungs_of(whole, screen)
    known = read_decisions(folder) or Decisions(screen, tuple(rung.model for rung in rungs), {})
    stage = next_stage(rungs, known)
    first = [*decided_jobs(rungs, known), *(stage.jobs if stage else [])]
    distinct = list({tuple(words): words for words in first}.values())
    return Outlook(whole, distinct, _later(whole, rungs, known, distinct, tune) if stage else [])


def _later(
    whole: Plan, rungs: Sequence[Rung], known: Decisions, first: Sequence[Words], tune: Tune | None
) -> list[Further]:
    """The runs that are neither first nor of a variant that was dropped, and their trials."""
    gone = {
        (rung.model, name)
        for at, rung in enumerate(rungs)
        for name in rung.variants
        if _is_gone(rungs, at, name, known)
    }
    soon = {tuple(words) for words in first}
    begun = {(spec.model, spec.variant) for spec, words in whole.asked if tuple(words) in soon}
    left = [spec for spec, words in whole.todo if tuple(words) not in soon and (spec.model, spec.variant) not in gone]
    found = [Further(spec, 1) for spec in left]
    if tune:
        searched = {(spec.model, spec.variant): spec for spec in left if (spec.model, spec.variant) not in begun}
        found += [Further(spec, tune.seeds * tune.max_trials) for spec in searched.values()]
    return found


def _is_gone(rungs: Sequence[Rung], at: int, variant: str, known: Decisions) -> bool:
    """Whether a variant was dropped at a model or before it."""
    return any(known.dropped(rung.model, variant) for rung in rungs[: at + 1])
