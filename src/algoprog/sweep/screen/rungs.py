"""The rungs of a screening sweep: its models from the smallest on, each with the runs of its variants by seed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from algoprog.ceg.screening.decisions import Decisions
from algoprog.ceg.screening.rule import CARRIED, Screen
from algoprog.runs.record import BASELINE
from algoprog.sweep.design.compare import Words
from algoprog.sweep.plan.plan import Checked, Plan

BySeed = Mapping[int, list[Words]]
"""The words of the runs of one variant and model by their seed; several where other settings vary too."""


@dataclass(frozen=True)
class Rung:
    """One model."""

    model: str
    baseline: BySeed
    variants: Mapping[str, BySeed]
    seeds: tuple[int, ...]  # in the order in which they are trained

    def jobs(self, alive: Collection[str], seeds: int) -> list[Words]:
        """The words of the variants that are left at the first so many seeds, the baseline first."""
        chosen = [self.baseline, *(self.variants[name] for name in self.variants if name in alive)]
        return [words for seed in self.seeds[:seeds] for runs in chosen for words in runs.get(seed, ())]


@dataclass(frozen=True)
class Stage:
    """What is trained before a look."""

    rung: Rung
    seeds: int
    level: float
    alive: tuple[str, ...]  # variants that are looked at

    @property
    def jobs(self) -> list[Words]:
        """The words of its runs."""
        return self.rung.jobs(self.alive, self.seeds)

    @property
    def name(self) -> str:
        """For what is told."""
        return f"{self.rung.model}, {self.seeds} seeds"


def rungs_of(planned: Plan, screen: Screen) -> tuple[Rung, ...]:
    """The models of a plan, by their number of parameters.

    Raises:
        ValueError: a model has not the seeds that the looks need, or runs that are not compared with each other.
    """
    runs = (*planned.baselines, *planned.asked)
    sizes = dict.fromkeys((spec.model for spec, _ in planned.asked), 0)
    sizes |= {spec.model: spec.n_params for spec, _ in runs}
    sizes |= {spec.model: spec.n_params for spec, _ in runs if spec.variant == BASELINE}
    own = {model: [run for run in runs if run[0].model == model] for model in sizes}
    return tuple(_rung(model, own[model], screen) for model in sorted(sizes, key=lambda model: sizes[model]))


def next_stage(rungs: Iterable[Rung], decisions: Decisions, aside: Collection[str] = ()) -> Stage | None:
    """The first look that has not decided about all of its variants; None where all have.

    A variant goes on from a model that has not dropped it to the next one, if it can be trained there.

    Args:
        rungs: the models.
        decisions: those that were made.
        aside: variants that nothing is decided about, for a run of them failed.
    """
    rungs = tuple(rungs)
    levels = decisions.screen.levels(len(decisions.models))
    carried = {one.variant for one in decisions.found.values() if one.outcome == CARRIED}
    alive = tuple(rungs[0].variants) if rungs else ()
    for rung in rungs:
        alive = tuple(name for name in alive if name in rung.variants and name not in aside)
        for seeds, level in zip(decisions.screen.looks, levels, strict=True):
            if not set(alive) - carried:  # arms that say what noise scores go nowhere alone
                return None
            if any((rung.model, name, seeds) not in decisions.found for name in alive):
                return Stage(rung, seeds, level, alive)
            alive = tuple(name for name in alive if not decisions.dropped(rung.model, name))
    return None


def decided_jobs(rungs: Iterable[Rung], decisions: Decisions) -> list[Words]:
    """The words of the runs that decisions rest on."""
    found = []
    for rung in rungs:
        seen = {name: max(_looked_at(decisions, rung.model, name), default=0) for name in rung.variants}
        looks = sorted({seeds for seeds in seen.values() if seeds})
        for seeds in looks:
            found += rung.jobs([name for name, own in seen.items() if own >= seeds], seeds)
    return list({tuple(words): words for words in found}.values())


def _looked_at(decisions: Decisions, model: str, variant: str) -> list[int]:
    return [seeds for at, name, seeds in decisions.found if (at, name) == (model, variant)]


def _rung(model: str, runs: Iterable[Checked], screen: Screen) -> Rung:
    found: dict[str, dict[int, list[Words]]] = {}
    cohorts: set[str] = set()
    for spec, words in runs:
        own = found.setdefault(spec.variant, {}).setdefault(spec.seed, [])
        own += [] if words in own else [words]
        cohorts.add(spec.cohort)
    seeds = tuple(dict.fromkeys(seed for by_seed in found.values() for seed in by_seed))
    if len(cohorts) > 1:
        raise ValueError(
            f"{model} would be screened in {len(cohorts)} tables that are not compared with each other: give"
            " evaluation, budget and all else that makes no variant one value"
        )
    if len(seeds) != screen.looks[-1]:
        wanted = ",".join(map(str, range(screen.looks[-1])))
        raise ValueError(
            f"design.looks={list(screen.looks)} needs {screen.looks[-1]} seeds and there are {len(seeds)}: leave seed"
            f" out, or give seed={wanted} or others of that number"
        )
    return Rung(model, found.pop(BASELINE, {}), found, seeds)
