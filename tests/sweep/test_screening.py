"""Sweeps that screen: which runs a look asks for, what it decides, and that no decision is ever changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoprog.ceg.screening.decisions import read_decisions
from algoprog.config import conf_dir
from algoprog.run.spec import RunSpec
from algoprog.runs.calls import read_calls
from algoprog.runs.store import append_curve, write_record
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import design_of, jobs
from algoprog.sweep.plan.placement import placement
from algoprog.sweep.plan.plan import Plan
from algoprog.sweep.screen.screening import Screening
from algoprog.sweep.search.choices import read_choices
from algoprog.sweep.search.phases import Sweep
from algoprog.sweep.search.settings import tune_of
from tests.configs import TINY_RUN
from tests.report.conftest import Sweep as Written
from tests.report.conftest import curve_row, record_of

GAINS = {"none": 1.0, "flash": 1.0, "ln": 1.5, "rope": 1.3, "relu": 0.6}
STEPS = np.unique(np.round(np.geomspace(4, 600, 30)).astype(int))
WORDS = (*TINY_RUN, "design=screen", "design.variants=[flash,ln,rope,relu]")


@pytest.fixture(scope="module", autouse=True)
def hydra(cache_dir: Path) -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


@dataclass
class Machine:
    """A launcher whose runs have the losses that their gains say, unless they fail."""

    folder: Path
    failing: set[tuple[str, int]] = field(default_factory=set)  # variant and seed
    left: int | None = None  # runs until the power is cut
    trained: list[tuple[str, str, int]] = field(default_factory=list)

    def launch(self, planned: Plan) -> Sequence[None]:
        for spec, _ in planned.todo:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            self.trained.append((spec.model, spec.variant, spec.seed))
            if (spec.variant, spec.seed) not in self.failing:
                finish(self.folder / spec.name, spec)
        return [None] * len(planned.todo)


def finish(folder: Path, spec: RunSpec) -> None:
    """What a run with this gain leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    name = spec.variant if spec.variant in GAINS else "none"
    rng = np.random.default_rng([spec.seed, *spec.run_id.encode()])
    losses = 1.7 + 9 * (GAINS[name] * STEPS + 8.0) ** -0.28 + 0.002 * rng.normal() + 0.02 * spec.seed
    for step, loss in zip(STEPS, losses, strict=True):
        append_curve(folder, curve_row(int(step), float(loss), 1e9, 1.0))
    record = record_of(Written(), "nano", name, spec.seed, {}, losses, 1e9)
    own = {"run_id": spec.run_id, "cohort": spec.cohort, "model": spec.model, "variant": spec.variant}
    write_record(folder, replace(record, **own, role=spec.role))


Begin = Callable[..., Screening]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """A screening sweep of these words in a folder of the test."""

    def begin(machine: Machine, *words: str, fail_fast: bool = False) -> Screening:
        loader = GlobalHydra.instance().config_loader()
        typed = [*WORDS, *words, f"hydra.sweep.dir={tmp_path}"]
        config = loader.load_configuration("config", typed, run_mode=RunMode.MULTIRUN)
        compose, asked = composition(config, loader), list(config.hydra.overrides.task)
        design = design_of(config, asked, loader)
        where = replace(placement(config), memory=None)
        sweep = Sweep(tmp_path, "train.py", compose, where, None, True, fail_fast, machine.launch, design.left_out)
        assert design.screen is not None
        return Screening(sweep, design.screen, tune_of(config), jobs(config, asked, {}, loader, compose))

    return begin


def outcomes(folder: Path) -> dict[tuple[str, str, int], str]:
    """What was decided, by the model's layers, variant and seeds."""
    decisions = read_decisions(folder)
    assert decisions is not None
    return {(one.model[:4], one.variant, one.seeds): one.outcome for one in decisions.found.values()}


def test_what_is_shown_to_lie_below_the_gate_goes_no_further(begin: Begin, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    screening = begin(machine, "model.n_layers=1,2")
    screening.run()
    models = list(dict.fromkeys(model for model, *_ in machine.trained))
    assert len(models) == len(screening.rungs)
    seeds = {variant: sorted(s for m, v, s in machine.trained if (m, v) == (models[0], variant)) for variant in GAINS}
    assert seeds["relu"] in ([0, 1], [0, 1, 2])
    assert seeds["ln"] == seeds["rope"] == seeds["none"] == seeds["flash"] == [0, 1, 2, 3, 4]
    later = {variant for model, variant, _ in machine.trained if model != models[0]}
    assert later == {"none", "flash", "ln", "rope"}
    decisions = read_decisions(tmp_path)
    assert decisions is not None
    gone = decisions.dropped(models[0], "relu")
    assert gone is not None
    assert gone.ceg == pytest.approx(0.6, rel=0.1)
    assert gone.high is not None
    assert gone.ceg < gone.high < 1.05
    assert gone.p is not None
    assert gone.p < gone.level


def test_a_sweep_that_was_cut_off_comes_to_the_same_decisions(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(Machine(tmp_path, left=13)).run()
    before = (tmp_path / "screening.json").read_text()
    again = Machine(tmp_path)
    begin(again).run()
    assert (
        json.loads((tmp_path / "screening.json").read_text())["decisions"][: before.count('"variant"')]
        == (json.loads(before)["decisions"])
    )
    whole = (tmp_path / "screening.json").read_text()
    more = Machine(tmp_path)
    begin(more).run()
    assert not more.trained
    assert (tmp_path / "screening.json").read_text() == whole


@pytest.mark.slow
def test_a_lost_run_is_trained_again_and_changes_no_decision(begin: Begin, tmp_path: Path) -> None:
    begin(Machine(tmp_path)).run()
    before = (tmp_path / "screening.json").read_text()
    lost = next(path for path in tmp_path.glob("*-relu-s0-*/record.json"))
    lost.unlink()
    machine = Machine(tmp_path)
    begin(machine).run()
    assert [(variant, seed) for _, variant, seed in machine.trained] == [("relu", 0)]
    assert (tmp_path / "screening.json").read_text() == before


def test_a_variant_whose_run_failed_waits_and_the_others_go_on(
    begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(Machine(tmp_path, failing={("ln", 1)})).run()
    assert {variant for _, variant, _ in outcomes(tmp_path)} == {"flash", "rope", "relu"}
    assert "undecided, for a run failed: ln" in capsys.readouterr().out
    begin(Machine(tmp_path)).run()
    assert {variant for _, variant, _ in outcomes(tmp_path)} == {"flash", "ln", "rope", "relu"}


def test_nothing_is_decided_without_the_baseline(begin: Begin, tmp_path: Path) -> None:
    begin(Machine(tmp_path, failing={("none", 1)})).run()
    assert read_decisions(tmp_path) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed=0,1,2"], "needs 5 seeds and there are 3"),
        (["seed=0,1,2,3,4", "evaluation.tokens=256,512"], "in 2 tables that are not compared with each other"),
    ],
)
def test_a_screen_that_cannot_be_is_refused(begin: Begin, tmp_path: Path, words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        begin(Machine(tmp_path), *words)


@pytest.mark.slow
def test_decisions_by_another_rule_are_kept_to(begin: Begin, tmp_path: Path) -> None:
    begin(Machine(tmp_path)).run()
    with pytest.raises(ValueError, match=r"holds decisions by gate=1.05 looks=\[2, 3, 5\]"):
        begin(Machine(tmp_path), "design.gate=1.2")


def test_the_sweep_notes_what_it_leaves_out(begin: Begin, tmp_path: Path) -> None:
    begin(Machine(tmp_path), "design.variants=[]", "design.axes=[block]").run()
    (call,) = read_calls(tmp_path).calls
    assert any("block=post" in words for out in call.left_out for words in out["words"])
    assert {variant for _, variant, _ in outcomes(tmp_path)} == {"parallel"}


@pytest.mark.slow  # plans and searches of six looks
def test_every_variant_and_model_that_is_reached_gets_a_search(begin: Begin, tmp_path: Path) -> None:
    words = ("tune=lr", "model.n_layers=1,2", "design.variants=[ln,relu]")
    machine = Machine(tmp_path)
    begin(machine, *words).run()
    chosen = {(choice.model, choice.variant) for choice in read_choices(tmp_path).values()}
    models = sorted({model for model, _ in chosen}, key=len, reverse=True)  # the smaller one says that it is
    assert len(models) == 2
    assert {variant for model, variant in chosen if model == models[0]} == {"none", "ln", "relu"}
    assert {variant for model, variant in chosen if model == models[1]} == {"none", "ln"}
    assert {seed for _, variant, seed in machine.trained if variant == "ln"} == {1000, 0, 1, 2, 3, 4}
    again = Machine(tmp_path)
    begin(again, *words).run()
    assert not again.trained
