"""What a search will do and cost, before it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from algoprog.run.spec import RunSpec
from algoprog.sweep.design.compare import Words
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan, plan, specs_of
from algoprog.sweep.search.choices import Choices, read_choices
from algoprog.sweep.search.searches import Rates, Searches, assignments, searches, without
from algoprog.sweep.search.settings import NONE, RATE, Tune, offered
from algoprog.variant import search_id


@dataclass(frozen=True)
class Further:
    """Trials that a search may add beyond its grid, at most."""

    trial: RunSpec  # one of them: all cost the same
    count: int


@dataclass(frozen=True)
class Outlook:
    """The runs of a sweep that searches, as far as they are known."""

    trials: Plan  # those that are made in any case
    compared: Plan  # at what was chosen; where nothing is chosen yet, at what is configured
    unsettled: frozenset[str] = frozenset()  # identities of compared runs whose settings are not chosen yet
    further: list[Further] = field(default_factory=list)


def outlook(
    jobs: Sequence[Words], tune: Tune, compose: Compose, folder: Path, placement: Placement, reuse: Path | None
) -> Outlook:
    """What `train.py -m` would do with these runs.

    Raises:
        ValueError: the search makes no sense.
    """
    rates = Rates(jobs, tune)
    first = plan(rates.jobs, compose, sweep_dir=folder, reuse=None, placement=placement)
    runs = (*first.baselines, *first.asked)
    found = searches(runs, rates, lambda words: specs_of(words, compose, placement))
    known = read_choices(folder)
    pending = [search for search in found.all if search.id not in known]
    cells = [search.trial(cell, seed) for search in pending for cell in search.cells() for seed in tune.trial_seeds]
    trials = plan(cells, compose, sweep_dir=folder, reuse=None, placement=placement, baselines=())
    asked, baselines = (
        [settled(words, rates, found, known) for _, words in some] for some in (first.asked, first.baselines)
    )
    compared = plan(asked, compose, sweep_dir=folder, reuse=reuse, placement=placement, baselines=baselines)
    compared.refused = first.refused
    unsettled = {
        spec.run_id
        for spec, words in (*compared.baselines, *compared.asked)
        if found.owner[rates.group(words)] not in known
    }
    more = [
        Further(found.trials[search.id], tune.seeds * (tune.max_trials - len(search.cells())))
        for search in pending
        if tune.max_trials > len(search.cells())
    ]
    return Outlook(trials, compared, frozenset(unsettled), more)


def settled(words: Words, rates: Rates, found: Searches, choices: Choices) -> Words:
    """The words of a compared run at what was chosen for it; at what is configured where nothing was."""
    choice = choices.get(found.owner[rates.group(words)])
    if choice is None or not choice.values:
        return rates.configured(words)
    return [*without(words, rates.tune.settings), *assignments(choice.values)]


def offer(jobs: Sequence[Words], planned: Plan) -> str:
    """One line on what the default search would add to a sweep that has none; empty where several rates were typed."""
    tune = offered()
    rates = Rates(jobs, tune)
    runs = {spec.run_id: spec for spec, _ in (*planned.done, *planned.reused, *planned.todo)}
    if len(rates.jobs) < len(jobs) or not runs:
        return ""
    each = {search_id(spec.config, spec.tokens.info.sha256, tune.settings): spec for spec in runs.values()}
    trial = sum(spec.total_flops for spec in each.values())
    paid = sum(spec.paid_flops for spec in runs.values())
    least, most = 3 * tune.seeds, tune.max_trials * tune.seeds  # around the configured rate, and beyond
    return (
        f"tune={NONE} compares at the configured rate alone: tune={RATE} would add {least * len(each)} to"
        f" {most * len(each)} trials, {least * trial:.2g} to {most * trial:.2g} FLOPs,"
        f" {least * trial / paid:.2g} to {most * trial / paid:.2g} times these runs"
    )
