"""What `train.py -m` would do with the same words, worked out without training or writing."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from algoprog import written
from algoprog.config import conf_dir
from algoprog.overrides import refuse_odd_choices
from algoprog.refusals.by_hydra import hydra_sentence
from algoprog.run.memory import peak_memory
from algoprog.run.spec import RunSpec
from algoprog.runs.record import COMPARE, DIVERGED, SEARCH
from algoprog.runs.secrets import redacted
from algoprog.sweep.design.composer import Composer
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import check_sweeper, design_of, jobs
from algoprog.sweep.design.precision import settled
from algoprog.sweep.plan.calibration import Calibration
from algoprog.sweep.plan.condition import Condition, condition
from algoprog.sweep.plan.expected import SHORT_FLOPS
from algoprog.sweep.plan.members import times_as_fast
from algoprog.sweep.plan.pace import Pace
from algoprog.sweep.plan.placement import Placement, placement
from algoprog.sweep.plan.plan import Plan, plan, typed
from algoprog.sweep.plan.wall import FURTHER_SHARE, Machine, composing, wall_seconds
from algoprog.sweep.screen.outlook import outlook as screened
from algoprog.sweep.search.outlook import Further, outlook
from algoprog.sweep.search.settings import tune_of

CALIBRATION_SECONDS = 25.0
"""After so many no further model is measured for the plan."""

REUSED = "reused"
"""State of a baseline that was finished elsewhere and will be copied."""

UNSETTLED = "after the search"
"""State of a compared run whose settings are not chosen yet; it is priced at those that are configured."""

TRAINED = (Condition.DONE, Condition.DIVERGED, REUSED)
"""States of runs that need no training."""


@dataclass(frozen=True)
class PlannedRun:
    """One line of a plan."""

    name: str
    variant: str
    model: str
    seed: int
    run_id: str
    n_params: int
    train_flops: float  # what is paid: of the run and its branches
    tokens: int
    steps: int
    micro_batch_size: int  # on a GPU the largest that would be tried
    memory_bytes: float
    seconds: float | None  # of training, branches and evaluations; None where nothing tells
    seconds_from: int  # finished runs that the seconds rest on; 0 for a calibration
    state: str
    added: bool  # a baseline that nobody asked for
    overrides: list[str]
    role: str = COMPARE


@dataclass(frozen=True)
class FurtherTrials:
    """What may be added at most: trials of a search beyond its grid, runs of a screen whose variants all hold."""

    runs: int
    train_flops: float
    tokens: int
    steps: int
    seconds: float | None  # None where no finished run tells of one of them


@dataclass(frozen=True)
class Preview:
    """The runs of a sweep, and the combinations that it refuses; without secrets, for it is there to be shown."""

    sweep_dir: str
    skip_refused: bool
    at_once: int | None = None  # runs at the same time that memory takes; None where it is not asked
    runs: list[PlannedRun] = field(default_factory=list)
    refused: list[tuple[list[str], str]] = field(default_factory=list)
    further: FurtherTrials | None = None  # None for a sweep that searches nothing
    later: FurtherTrials | None = None  # None for a sweep that screens nothing
    wall_seconds: float | None = None  # from the command line to the report; None where it is not known of every run

    @property
    def to_train(self) -> list[PlannedRun]:
        """The runs that are not done."""
        return [run for run in self.runs if run.state not in TRAINED]

    @property
    def goes(self) -> bool:
        """Whether the sweep would start: it refuses all if it has to refuse one, unless it is told to go on."""
        return bool(self.runs) and (self.skip_refused or not self.refused)

    def totals(self) -> dict[str, Any]:
        """Sums over the runs to train; the seconds are those of the runs that have them, one after another."""
        todo = self.to_train
        known = [run.seconds for run in todo if run.seconds is not None]
        return {
            "runs": len(self.runs),
            "to_train": len(todo),
            "trials_to_train": sum(run.role == SEARCH for run in todo),
            "refused": len(self.refused),
            "train_flops": sum(run.train_flops for run in todo),
            "tokens": sum(run.tokens for run in todo),
            "steps": sum(run.steps for run in todo),
            "memory_bytes": max((run.memory_bytes for run in todo), default=0.0),
            "seconds": sum(known) if known else None,
            "seconds_known_for": len(known),
            "wall_seconds": self.wall_seconds,
        }

    def as_json(self) -> dict[str, Any]:
        """The whole plan as plain values."""
        return {
            "sweep_dir": self.sweep_dir,
            "goes": self.goes,
            "at_once": self.at_once,
            "runs": [asdict(run) for run in self.runs],
            "refused": [{"overrides": overrides, "reason": reason} for overrides, reason in self.refused],
            "totals": self.totals(),
            "further_trials": asdict(self.further) if self.further else None,
            "later_runs": asdict(self.later) if self.later else None,
        }


def preview(arguments: Sequence[str], records: Path) -> Preview:
    """The plan of `train.py -m ARGUMENTS`.

    Args:
        arguments: the words of the command line.
        records: folder with finished runs, whose speed tells how long others take.

    Raises:
        ValueError: the words or the design make no sense.
    """
    refuse_odd_choices(arguments)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            config = loader.load_configuration("config", list(arguments), run_mode=RunMode.MULTIRUN)
            return _preview(config, loader, records)
        except HydraException as error:
            raise ValueError(hydra_sentence(error)) from error


def _preview(config: DictConfig, loader: ConfigLoader, records: Path) -> Preview:
    knobs, sweep_dir = config.hydra.sweeper, Path(config.hydra.sweep.dir)
    check_sweeper(config)
    where, tune = placement(config), tune_of(config)
    quickness = composing(config, loader)
    compose = composition(config, loader)
    words = jobs(config, list(config.hydra.overrides.task), knobs.get("params"), loader, compose)
    asked, _ = settled(words, config, Composer(compose))
    reuse = Path(knobs.reuse) if knobs.get("reuse") else None

    def pace_of(planned: Plan) -> Pace:
        threads = where.threads(planned.at_once or planned.size)
        cache = Path(config.cache_dir).expanduser()
        at_once = _at_once(planned, where)
        beside = at_once if where.launcher == "local" and _paid(planned) >= SHORT_FLOPS else 1
        return Pace(records, where.gpus, Calibration(cache, threads, CALIBRATION_SECONDS, beside))

    design, later = design_of(config, list(config.hydra.overrides.task), loader), None
    out = list(design.left_out)
    if design.screen is not None:
        first = screened(asked, design.screen, tune, compose, sweep_dir, where)
        asked, later, out = first.jobs, _further(first.later, pace_of(first.whole)), [*first.whole.refused, *out]
    if tune is None:
        planned = plan(asked, compose, sweep_dir=sweep_dir, reuse=reuse, placement=where)
        pace = pace_of(planned)
        runs, further, phases = _runs(planned, sweep_dir, where, pace), None, [_todo(planned)]
        launched = [planned]
    else:
        seen = outlook(asked, tune, compose, sweep_dir, where, reuse)
        planned, pace = seen.compared, pace_of(seen.compared)
        further = _further(seen.further, pace)
        runs = _runs(seen.trials, sweep_dir, where, pace)
        runs += _runs(planned, sweep_dir, where, pace, unsettled=seen.unsettled)
        likely = [some.trial for some in seen.further for _ in range(tune.seeds)]
        launched = [seen.trials, planned]
        phases = [_todo(seen.trials), likely[: math.ceil(FURTHER_SHARE * len(likely))], _todo(planned)]
    machine = Machine(_at_once(planned, where), quickness)
    faster = {name: times for one in launched for name, times in times_as_fast(one, where, sweep_dir).items()}
    return Preview(
        sweep_dir=redacted(str(sweep_dir)),
        skip_refused=bool(knobs.get("skip_refused")) or design.tolerant,
        at_once=planned.at_once,
        runs=runs,
        refused=[(typed(words), redacted(reason)) for words, reason in (*planned.refused, *out)],
        further=further,
        later=later,
        wall_seconds=wall_seconds(phases, pace, machine, faster) if any(phases) and design.screen is None else None,
    )


def _at_once(planned: Plan, where: Placement) -> int:
    return planned.at_once or where.at_once(max(1, len(planned.todo)))


def _todo(planned: Plan) -> list[RunSpec]:
    return [spec for spec, _ in planned.todo]


def _paid(planned: Plan) -> float:
    return sum(spec.paid_flops + spec.evaluation_flops for spec in _todo(planned))


def _further(found: Sequence[Further], pace: Pace) -> FurtherTrials:
    """The sum of what searches may add."""
    known = [(some.count, pace.expected(some.trial)) for some in found]
    return FurtherTrials(
        runs=sum(some.count for some in found),
        train_flops=sum(some.count * some.trial.paid_flops for some in found),
        tokens=sum(some.count * some.trial.total_steps * some.trial.tokens_per_step for some in found),
        steps=sum(some.count * some.trial.total_steps for some in found),
        seconds=None if any(one is None for _, one in known) else sum(n * one.seconds for n, one in known if one),
    )


def _runs(
    planned: Plan, sweep_dir: Path, where: Placement, pace: Pace, *, unsettled: Collection[str] = ()
) -> list[PlannedRun]:
    reused = {spec.run_id for spec, _ in planned.reused}
    added = {spec.run_id for spec in planned.added} | reused
    found = []
    for spec, overrides in (*planned.done, *planned.reused, *planned.todo):
        known, open_yet = pace.expected(spec), spec.run_id in unsettled
        found.append(
            PlannedRun(
                name=spec.name.rpartition("-")[0] if open_yet else spec.name,
                variant=spec.variant,
                model=spec.model,
                seed=spec.seed,
                run_id="" if open_yet else spec.run_id,
                n_params=spec.n_params,
                train_flops=spec.paid_flops,
                tokens=spec.total_steps * spec.tokens_per_step,
                steps=spec.total_steps,
                micro_batch_size=spec.micro_batch_size,
                memory_bytes=peak_memory(spec, where.gpus),
                seconds=known.seconds if known else None,
                seconds_from=known.n_runs if known else 0,
                state=UNSETTLED if open_yet else REUSED if spec.run_id in reused else _state(planned, spec, sweep_dir),
                added=spec.run_id in added,
                overrides=written.words(overrides),
                role=spec.role,
            )
        )
    return found


def _state(planned: Plan, spec: RunSpec, sweep_dir: Path) -> str:
    """The condition of a run; a finished one may lie in a folder of another name."""
    record = planned.records.get(spec.run_id)
    if record:
        return str(Condition.DIVERGED if record.status == DIVERGED else Condition.DONE)
    return str(condition(sweep_dir / spec.name))
