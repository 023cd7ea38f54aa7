"""A search that is stopped at any moment goes on to the same choices and runs; the engine writes records at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from algoprog.config import conf_dir
from algoprog.run.spec import RunSpec
from algoprog.runs.record import CHOICES_FILE, COMPARE, DIVERGED, FINISHED, SEARCH, Record
from algoprog.runs.status import FAILED, mark
from algoprog.runs.store import load_run, load_runs, write_record
from algoprog.sweep.design.jobs import jobs
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan
from algoprog.sweep.search import phases
from algoprog.sweep.search.phases import Phases, Sweep
from algoprog.sweep.search.settings import tune_of
from algoprog.training.devices.hardware import Gpus
from tests.configs import TINY_RUN
from tests.report.conftest import Sweep as Written
from tests.report.conftest import write_run

WORDS = [*TINY_RUN, "variant=none,ln,flash", "seed=0,1", "tune=lr", "optim.lr=1e-3,2e-3", "tune.max_trials=4"]
BEST = {"none": 1.6e-3, "ln": 6e-3, "flash": 1.6e-3, "rope": 1e-3}


class StoppedError(BaseException):
    """The driver is gone."""


@dataclass
class Machine:
    """An engine whose runs take no time, on a driver that may stop after any of its writes.

    Args:
        folder: of the sweep.
        compose: Hydra's composition.
    """

    folder: Path
    compose: Callable[[list[str]], DictConfig]
    stop_after: int = -1  # writes; never where negative
    writes: list[str] = field(default_factory=list)
    failing: tuple[float, ...] = ()  # rates at which a run leaves no record
    diverging: tuple[float, ...] = ()
    fail_fast: bool = False

    def sweep(self) -> Sweep:
        """One call of the program."""
        return Sweep(
            folder=self.folder,
            command="python train.py -m",
            compose=self.compose,
            placement=Placement("basic", {}, Gpus(0, 0), None),
            reuse=None,
            skip_refused=False,
            fail_fast=self.fail_fast,
            launch=self.launch,
        )

    def launch(self, planned: Plan) -> list[None]:
        """Train every run of a plan."""
        for spec, _ in planned.todo:
            self.train(spec)
            self.wrote(spec.name)
        return [None] * len(planned.todo)

    def train(self, spec: RunSpec) -> None:
        """A record with a loss that is lowest at the best rate of the variant."""
        rate, folder = spec.config["optim"]["lr"], self.folder / spec.name
        if rate in self.failing:
            mark(folder, FAILED, attempt=1, reason="no") if folder.exists() else folder.mkdir(parents=True)
            return
        write_run(folder, Written(), "nano", spec.variant, spec.seed, {})
        diverged = rate in self.diverging
        written = replace(
            load_run(folder).record,
            run_id=spec.run_id,
            role=spec.role,
            model=spec.model,
            status=DIVERGED if diverged else FINISHED,
            final_val_loss=None if diverged else 3 + 0.1 * log(rate / BEST[spec.variant]) ** 2,
            protocol={"optim.lr": rate},
        )
        write_record(folder, written)

    def wrote(self, what: str) -> None:
        """One more write; maybe the last."""
        self.writes.append(what)
        if len(self.writes) == self.stop_after:
            raise StoppedError


@pytest.fixture(scope="module")
def config() -> Iterator[Callable[..., DictConfig]]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader, known = GlobalHydra.instance().config_loader(), dict[tuple[str, ...], DictConfig]()

        def config(words: list[str]) -> DictConfig:
            if tuple(words) not in known:
                known[tuple(words)] = loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)
            return known[tuple(words)]

        yield config


@pytest.fixture(scope="module")
def compose(config: Callable[..., DictConfig], cache_dir: Path) -> Callable[[list[str]], DictConfig]:
    """Hydra's composition; the same words are composed once for all tests."""
    base, known = config(WORDS), dict[tuple[str, ...], DictConfig]()

    def compose(words: list[str]) -> DictConfig:
        if tuple(words) not in known:
            known[tuple(words)] = GlobalHydra.instance().config_loader().load_sweep_config(base, words)
        return known[tuple(words)]

    return compose


@pytest.fixture
def go(
    config: Callable[..., DictConfig],
    compose: Callable[[list[str]], DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Machine]:
    """Runs a sweep that searches, until its end or until it is stopped."""
    write = phases.write_choices

    def go(name: str = "sweep", words: tuple[str, ...] = (), **knobs: object) -> Machine:
        machine = Machine(tmp_path / name, compose, **knobs)  # type: ignore[arg-type]

        def noted(folder: Path, choices: phases.Choices) -> None:
            write(folder, choices)
            machine.wrote(CHOICES_FILE)

        monkeypatch.setattr(phases, "write_choices", noted)
        composed = config([*WORDS, *words])
        tune = tune_of(composed)
        assert tune is not None
        wanted = jobs(
            composed, list(composed.hydra.overrides.task), None, GlobalHydra.instance().config_loader(), compose
        )
        Phases(machine.sweep(), tune, wanted).run()
        return machine

    return go


def records(folder: Path) -> dict[str, Record]:
    return {run.path.name: run.record for run in load_runs(folder)}


def alike(one: Path, other: Path) -> bool:
    """Whether two sweeps came to the same choices and runs."""
    found = [
        {name: (r.role, r.seed, r.final_val_loss) for name, r in records(folder).items()} for folder in (one, other)
    ]
    return found[0] == found[1] and (one / CHOICES_FILE).read_text() == (other / CHOICES_FILE).read_text()


def test_a_search_and_the_runs_that_follow_from_it(go: Callable[..., Machine]) -> None:
    machine = go()
    roles = [record.role for record in records(machine.folder).values()]
    assert roles.count(SEARCH) == 2 + 1 + 2 + 2  # none asks for one rate below its grid, ln for two above
    assert roles.count(COMPARE) == 3 * 2
    rates = {r.variant: r.protocol["optim.lr"] for r in records(machine.folder).values() if r.role == COMPARE}
    assert rates["none"] == rates["flash"] == pytest.approx(1.6e-3, rel=1e-3)
    assert rates["ln"] == pytest.approx(6e-3, rel=1e-3)


@pytest.mark.slow
def test_stopped_at_any_turn_it_goes_on_to_the_same_end(go: Callable[..., Machine]) -> None:
    few = ("variant=none,ln", "seed=0")
    whole = go("whole", words=few)
    turns = {at for at, what in enumerate(whole.writes) if what == CHOICES_FILE}
    moments = sorted({1, 2, *turns, *(at + 1 for at in turns), len(whole.writes) - 1})
    for moment in moments:  # in and after each round of trials, after each choice, in the comparison
        with pytest.raises(StoppedError):
            go(f"stopped-{moment}", words=few, stop_after=moment)
        again = go(f"stopped-{moment}", words=few)
        assert alike(again.folder, whole.folder), whole.writes[:moment]
        trained = [name for name in (*whole.writes[:moment], *again.writes) if name != CHOICES_FILE]
        assert len(trained) == len(set(trained)), "nothing is trained twice"


@pytest.mark.slow
def test_what_is_added_later_changes_no_choice(go: Callable[..., Machine]) -> None:
    before = (go().folder / CHOICES_FILE).read_text()
    more = go(words=("variant=none,rope", "seed=0,1,2", "optim.lr=5e-4,1e-3"))
    assert (more.folder / CHOICES_FILE).read_text().startswith(before.rstrip().removesuffix("]").rstrip())
    added = [r for name, r in records(more.folder).items() if name in more.writes]
    assert {r.variant for r in added if r.role == SEARCH} == {"rope"}
    assert sorted((r.variant, r.seed) for r in added if r.role == COMPARE) == [
        ("none", 2), ("rope", 0), ("rope", 1), ("rope", 2),
    ]  # fmt: skip


def test_what_failed_has_no_vote_and_is_not_tried_again_once_chosen(
    go: Callable[..., Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine = go(failing=(4e-3,), diverging=(5e-4,))
    assert "ln: optim.lr=0.002 from 3 trials, 1 without a vote" in " ".join(capsys.readouterr().out.split())
    again = go()
    assert again.writes == []
    assert not [r for r in records(machine.folder).values() if r.protocol["optim.lr"] == 4e-3]


@pytest.mark.slow
def test_without_any_vote_the_configured_rate_is_compared(
    go: Callable[..., Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    machine = go(diverging=(1e-3, 2e-3), words=("optim.lr=2e-3,4e-3",), failing=(4e-3,))
    assert "none of 2 trials finished, its runs take what is configured" in capsys.readouterr().err
    assert {r.protocol["optim.lr"] for r in records(machine.folder).values() if r.role == COMPARE} == {1e-3}


def test_fail_fast_ends_the_sweep_in_its_search(go: Callable[..., Machine]) -> None:
    machine = go(failing=(1e-3,), fail_fast=True)
    assert {record.role for record in records(machine.folder).values()} == {SEARCH}
    assert not (machine.folder / CHOICES_FILE).exists()
