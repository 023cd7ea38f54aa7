"""Which searches a sweep needs: one for every model and variant, shared by variants that compute the same function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isfinite
from typing import Any

from algoprog.axes import SAME_FUNCTION
from algoprog.baseline import baseline_of, option
from algoprog.ceg.tuning.search import Point, rounded
from algoprog.overrides import parse, without_axes
from algoprog.run.spec import RunSpec
from algoprog.runs.record import SEARCH
from algoprog.sweep.design.compare import Words
from algoprog.sweep.search.settings import Tune
from algoprog.variant import search_id

Searched = tuple[str, ...]
"""The words of a model and variant: those of its runs less the seed and what is searched."""

BRANCHES = "schedule.branches"


@dataclass(frozen=True)
class Search:
    """The trials of one model and variant."""

    id: str  # equal for all sweeps whose runs differ in nothing but seed, kernel and what is searched
    model: str
    variant: str
    words: Searched
    settings: tuple[str, ...]
    grid: tuple[tuple[float, ...], ...]  # values of each setting, rising
    factors: tuple[float, ...]  # by which each grid goes on
    fixed: tuple[str, ...]  # words that make a run a trial

    def cells(self) -> list[Point]:
        """The trials that are made in any case."""
        return list(product(*self.grid))

    def trial(self, cell: Point, seed: int) -> Words:
        """The words of one run of a trial."""
        values = assignments(dict(zip(self.settings, cell, strict=True)))
        return [*self.words, *values, *self.fixed, f"seed={seed}"]


@dataclass(frozen=True)
class Searches:
    """The searches of a sweep, and whose they are."""

    all: tuple[Search, ...]
    owner: Mapping[Searched, str]  # id of the search by the words of a model and variant
    trials: Mapping[str, RunSpec]  # one trial of each, by id: all cost the same


class Rates:
    """What the command line says of the searched settings, and the sweep without it.

    Args:
        jobs: the words of every run asked for, several values of a searched setting among them.
        tune: the search.
    """

    def __init__(self, jobs: Sequence[Words], tune: Tune) -> None:
        self.tune = tune
        self.typed: dict[Searched, dict[str, list[str]]] = {}
        self.jobs: list[Words] = []  # each model, variant and seed once, at the first values that were typed for it
        seen: set[Searched] = set()
        for job in jobs:
            self._note(job)
            once = tuple(without(job, tune.settings))
            if once not in seen:
                seen.add(once)
                self.jobs.append(job)

    def grid(self, words: Sequence[str], setting: str, configured: float) -> tuple[float, ...]:
        """The values to try: several that were typed, else those of `tune.space`, else around the configured one.

        Raises:
            ValueError: none of them can be searched.
        """
        typed = self._of(words, setting)
        if len(typed) > 1:
            values = [_number(setting, text) for text in typed]
            return tuple(sorted(set(values)))
        space = self.tune.space[setting]
        if space is not None:
            return space
        if not configured > 0:
            raise ValueError(f"{setting}={configured} has no values a factor above and below: choose another tune=")
        factor = self.tune.factor
        return (rounded(configured / factor), configured, rounded(configured * factor))

    def configured(self, words: Sequence[str]) -> Words:
        """The words of a run whose search found nothing: what is configured, or the one value that was typed."""
        return without(words, [name for name in self.tune.settings if len(self._of(words, name)) > 1])

    def _note(self, job: Words) -> None:
        found = self.typed.setdefault(self.group(job), {})
        for text, word in zip(job, parse(job), strict=True):
            if word.key_or_group in self.tune.settings:
                values = found.setdefault(word.key_or_group, [])
                value = text.partition("=")[2]
                values += [value] * (value not in values)

    def _of(self, words: Sequence[str], setting: str) -> list[str]:
        """What was typed for a model and variant; for a baseline that nobody asked for, what was for its variants."""
        group = self.group(words)
        if group in self.typed:
            return self.typed[group].get(setting, [])
        plain = without_axes(list(group))
        alike = [found.get(setting, []) for other, found in self.typed.items() if without_axes(list(other)) == plain]
        return list(dict.fromkeys(value for values in alike for value in values))

    def group(self, words: Sequence[str]) -> Searched:
        """What the words say of model and variant."""
        return tuple(without(words, ("seed", *self.tune.settings)))


def searches(
    runs: Iterable[tuple[RunSpec, Words]], rates: Rates, specs_of: Callable[[list[Words]], list[RunSpec]]
) -> Searches:
    """The searches of the compared runs.

    Args:
        runs: those that are compared, baselines that were added included.
        rates: what was typed.
        specs_of: checks the words of runs.

    Raises:
        ValueError: a compared run has the seed of the search, or a setting cannot be searched.
    """
    drafts: dict[Searched, Search] = {}
    for spec, words in runs:
        _check_seed(spec, rates.tune)
        group = rates.group(words)
        if group not in drafts:
            drafts[group] = _draft(spec, words, rates)
    trials = specs_of([draft.trial(draft.cells()[0], rates.tune.seed) for draft in drafts.values()])
    owner: dict[Searched, str] = {}
    found: dict[str, tuple[RunSpec, Search]] = {}
    for (group, draft), trial in zip(drafts.items(), trials, strict=True):
        owner[group] = name = search_id(trial.config, trial.tokens.info.sha256, draft.settings)
        if name not in found or _plainer(trial, found[name][0]):
            found[name] = (trial, replace(draft, id=name))
    every = {name: trial for name, (trial, _) in found.items()}
    return Searches(tuple(search for _, search in found.values()), owner, every)


def _draft(spec: RunSpec, words: Words, rates: Rates) -> Search:
    """The search of one model and variant, before its identity is known."""
    tune = rates.tune
    grid = tuple(rates.grid(words, name, _configured(spec.config, name)) for name in tune.settings)
    _check_size(grid, tune)
    single = (f"{BRANCHES}=1",) if "branches" in spec.config["schedule"] else ()
    return Search(
        id="",
        model=spec.model,
        variant=spec.variant,
        words=tuple(without(rates.group(words), (BRANCHES, "role"))),
        settings=tune.settings,
        grid=grid,
        factors=tuple(_factor(values, tune.factor) for values in grid),
        fixed=(*single, f"role={SEARCH}"),
    )


def without(words: Sequence[str], keys: Sequence[str]) -> Words:
    """The words that set none of these."""
    return [text for text, word in zip(words, parse(list(words)), strict=True) if word.key_or_group not in keys]


def assignments(values: Mapping[str, float]) -> Words:
    """The words that set these."""
    return [f"{setting}={value!r}" for setting, value in values.items()]


def _plainer(spec: RunSpec, other: RunSpec) -> bool:
    """Whether a run has the baseline's options where options compute the same function, and the other has not."""

    def plain(run: RunSpec) -> bool:
        return all(option(run.config[axis]) == baseline_of(run.config)[axis] for axis in SAME_FUNCTION)

    return plain(spec) and not plain(other)


def _check_seed(spec: RunSpec, tune: Tune) -> None:
    if spec.seed in tune.trial_seeds:
        raise ValueError(
            f"seed={spec.seed} is a seed that settings are chosen on, and choosing and comparing share none:"
            " leave it out, or set tune.seed to another one"
        )


def _check_size(grid: Sequence[Sequence[float]], tune: Tune) -> None:
    size = len(list(product(*grid)))
    if size > tune.max_trials:
        raise ValueError(f"the grid has {size} trials and tune.max_trials={tune.max_trials}: set it to {size} or more")


def _configured(config: Mapping[str, Any], setting: str) -> float:
    part, _, knob = setting.partition(".")
    if knob not in config[part]:
        raise ValueError(f"{part} has no {knob} to search: choose another tune= or another {part}")
    return float(config[part][knob])


def _factor(values: Sequence[float], default: float) -> float:
    """By which a grid goes on: the ratio of its values, on average; that of the search where it has one value."""
    if len(values) < 2:
        return default
    return float((values[-1] / values[0]) ** (1 / (len(values) - 1)))


def _number(setting: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{setting}={text} cannot be searched: give numbers above 0, or tune=none")
    return value
