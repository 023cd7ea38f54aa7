"""The search of a sweep: whose it is, what it tries, what it keeps; without training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoprog.config import conf_dir
from algoprog.sweep.design.compare import Words
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import check_sweeper, jobs
from algoprog.sweep.plan.plan import plan, specs_of
from algoprog.sweep.search.choices import Choice, Choices, TrialRun, read_choices, write_choices
from algoprog.sweep.search.rounds import Trained, choose
from algoprog.sweep.search.searches import Rates, Search, Searches, searches
from algoprog.sweep.search.settings import Tune, offered, read, tune_of
from tests.configs import TINY_RUN


@pytest.fixture(scope="module", autouse=True)
def hydra(cache_dir: Path) -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def found(*words: str) -> Searches:
    """The searches of `train.py -m WORDS`."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", [*TINY_RUN, *words], run_mode=RunMode.MULTIRUN)
    compose = composition(config, loader)
    wanted = jobs(config, list(config.hydra.overrides.task), config.hydra.sweeper.params, loader, compose)
    tune = tune_of(config)
    assert tune is not None
    rates = Rates(wanted, tune)
    planned = plan(rates.jobs, compose, sweep_dir=Path("/nowhere"), reuse=None)
    assert not planned.refused
    return searches([*planned.baselines, *planned.asked], rates, lambda trials: specs_of(trials, compose, None))


def rates(search: Search) -> list[float]:
    return [cell[0] for cell in search.cells()]


def test_every_variant_and_model_gets_the_same_search() -> None:
    every = found("tune=lr", "variant=none,ln,rope", "model.d_model=16,32", "seed=0,1,2", "optim.lr=4e-3").all
    assert sorted((search.variant, search.model[:4]) for search in every) == sorted(
        (variant, "nano") for variant in ("none", "ln", "rope") for _ in (16, 32)
    )
    assert {tuple(rates(search)) for search in every} == {(0.002, 0.004, 0.008)}
    assert len({search.id for search in every}) == 6


def test_typed_rates_are_the_grid_and_say_how_it_goes_on() -> None:
    (search,) = found("tune=lr", "optim.lr=1e-3,4e-3,2e-3,8e-3").all
    assert rates(search) == [0.001, 0.002, 0.004, 0.008]
    assert search.factors == pytest.approx([2.0])
    (dense,) = found("tune=lr", "optim.lr=1e-3,1.414e-3,2e-3").all
    assert dense.factors == pytest.approx([2**0.5])
    (named,) = found("tune=lr", "tune.space={optim.lr:[3e-3,1e-3]}").all
    assert rates(named) == [0.001, 0.003]


def test_an_added_baseline_is_searched_as_well_at_the_same_rates() -> None:
    both = found("tune=lr", "norm=ln", "optim.lr=1e-3,3e-3").all
    assert [search.variant for search in both] == ["none", "ln"]
    assert [rates(search) for search in both] == [[0.001, 0.003]] * 2


def test_variants_that_differ_in_the_kernel_alone_share_a_search() -> None:
    shared = found("tune=lr", "variant=flash,ln,ln+rope+flash,none")
    assert [search.variant for search in shared.all] == ["none", "ln", "ln+rope+flash"]
    owners = {words[-1]: name for words, name in shared.owner.items()}
    assert owners["variant=flash"] == owners["variant=none"] == shared.all[0].id


def test_a_trial_is_one_short_run_on_a_seed_of_its_own() -> None:
    (search,) = found("tune=lr", "schedule=wsd", "schedule.branches=2", "budget.steps=400", "seed=0,1").all
    words = search.trial((0.002,), 1000)
    assert words[-4:] == ["optim.lr=0.002", "schedule.branches=1", "role=search", "seed=1000"]
    assert "schedule.branches=2" not in words
    assert "seed=0" not in words


def test_the_search_of_a_run_does_not_depend_on_what_else_is_swept() -> None:
    (alone,) = found("tune=lr", "seed=0").all
    among = found("tune=lr", "variant=none,rope", "seed=3,4", "optim.lr=1e-2,2e-2", "trainer.checkpoint_steps=2").all
    assert alone.id == among[0].id
    assert alone.id != found("tune=lr", "budget.steps=7").all[0].id
    assert alone.id != found("tune=lr_wd").all[0].id


def test_two_settings_are_searched_over_their_product() -> None:
    (search,) = found("tune=lr_wd", "optim.lr=1e-3,2e-3").all
    assert search.settings == ("optim.lr", "optim.weight_decay")
    assert search.cells() == [(rate, decay) for rate in (0.001, 0.002) for decay in (0.05, 0.1, 0.2)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tune=lr", "seed=0,1000"], "seed=1000 is a seed that settings are chosen on"),
        (["tune=lr", "tune.seed=1", "seed=0,1"], "set tune.seed to another one"),
        (["tune=lr", "tune.seed=3", "tune.seeds=3", "seed=5"], "seed=5 is a seed that settings are chosen on"),
        (["tune=lr", "optim.lr=1e-3,2e-3,4e-3", "tune.max_trials=2"], "the grid has 3 trials"),
        (["tune=lr_wd", "optim.weight_decay=0"], "no values a factor above and below"),
        (["tune=lr", "optim.lr=0,1e-3"], "optim.lr=0 cannot be searched"),
        (["tune=lr,none"], "names several searches"),
        (["tune=lr", "role=search"], "is said by the sweep itself"),
    ],
)
def test_a_search_that_makes_no_sense_is_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        found(*words)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


LR = {"space": {"optim.lr": None}, "seed": 1, "seeds": 1, "factor": 2.0, "max_trials": 3}


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"factor": 1}, "tune.factor=1 must be a number above 1"),
        ({"seed": -1}, "tune.seed=-1 must be a whole number"),
        ({"seed": True}, "tune.seed=True must be a whole number"),
        ({"seeds": 0}, "tune.seeds=0 must be a whole number, at least 1"),
        ({"max_trials": 0}, "tune.max_trials=0 must be a whole number, at least 1"),
        ({"space": {"optim.lr": [0]}}, "give numbers above 0"),
        ({"space": {"optim.eps": None}}, "tune.space names optim.eps, and what can be searched is optim.lr"),
        ({"trials": 4}, "tune.trials is no knob of a search"),
    ],
)
def test_a_knob_of_a_search_that_cannot_be_used_is_named(knobs: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=r"^tune\.") as caught:
        read({**LR, **knobs})
    assert says in str(caught.value)


def test_another_sweeper_is_refused() -> None:
    loader = GlobalHydra.instance().config_loader()
    words = ["hydra/sweeper=basic", "hydra/launcher=basic", "tune=lr"]
    with pytest.raises(ValueError, match="hydra/sweeper=basic searches nothing, and tune=lr asks for it"):
        check_sweeper(loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN))


def test_no_tuning_asks_for_nothing() -> None:
    loader = GlobalHydra.instance().config_loader()
    assert tune_of(loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)) is None
    assert offered().settings == ("optim.lr",)


TUNE = Tune({"optim.lr": None}, seed=1000, seeds=1, factor=2.0, max_trials=6)


def search(name: str) -> Search:
    return Search(name, "nano", name, (name,), ("optim.lr",), ((1e-3, 2e-3, 4e-3),), (2.0,), ("role=search",))


class Trainer:
    """Losses of a bowl with its own best rate for every variant; counts what it trains."""

    def __init__(self, best: dict[str, float], failed: tuple[float, ...] = ()) -> None:
        self.best, self.failed, self.rounds = best, failed, list[list[Words]]()

    def __call__(self, wanted: Sequence[Words], name: str) -> list[Trained]:
        self.rounds.append(list(wanted))
        return [self.one(words[0], float(words[1].split("=")[1])) for words in wanted]

    def one(self, variant: str, rate: float) -> Trained:
        failed = rate in self.failed
        loss = None if failed else 3 + log(rate / self.best[variant]) ** 2
        return Trained(f"{variant}-{rate}", loss, None if failed else 10.0)


def test_searches_go_on_until_the_best_is_inside_and_no_longer() -> None:
    train, kept = Trainer({"a": 2.1e-3, "b": 1.05e-2}), list[Choices]()
    choices = choose([search("a"), search("b")], TUNE, {}, train, kept.append)
    assert [len(wanted) for wanted in train.rounds] == [6, 1, 1]
    assert choices["a"].values == {"optim.lr": 2.1e-3}
    assert choices["b"].values == {"optim.lr": 1.05e-2}
    assert (choices["b"].edge, choices["b"].flops, len(choices["b"].trials)) == (False, 50.0, 5)
    assert list(kept[0]) == ["a"]  # what is done is kept before the others are
    assert kept[-1] == choices


def test_a_best_that_stays_at_the_edge_is_said() -> None:
    choices = choose([search("a")], TUNE, {}, Trainer({"a": 1.0}), lambda _: None)
    assert choices["a"].edge
    assert len(choices["a"].trials) == 6
    assert choices["a"].values == {"optim.lr": 3.2e-2}


def test_failed_trials_have_no_vote_and_a_search_without_votes_chooses_nothing() -> None:
    choices = choose([search("a")], TUNE, {}, Trainer({"a": 1e-2}, failed=(4e-3,)), lambda _: None)
    assert choices["a"].values == {"optim.lr": 2e-3}
    assert [trial.loss is None for trial in choices["a"].trials] == [False, False, True]
    none = choose([search("a")], TUNE, {}, Trainer({"a": 1e-2}, failed=(1e-3, 2e-3, 4e-3)), lambda _: None)
    assert none["a"].values == {}


def test_a_trial_of_several_seeds_counts_by_their_mean_and_not_at_all_where_one_fails() -> None:
    losses = {(1e-3, 7): 3.0, (1e-3, 8): 3.2, (2e-3, 7): 2.9, (2e-3, 8): 3.0, (4e-3, 7): 2.5, (4e-3, 8): None}

    def train(wanted: Sequence[Words], name: str) -> list[Trained]:
        cells = [(float(words[1].split("=")[1]), int(words[-1].removeprefix("seed="))) for words in wanted]
        return [Trained(f"{rate}-{seed}", losses[rate, seed], 10.0) for rate, seed in cells]

    tune = Tune({"optim.lr": None}, seed=7, seeds=2, factor=2.0, max_trials=3)
    (found,) = choose([search("a")], tune, {}, train, lambda _: None).values()
    assert found.values == {"optim.lr": 2e-3}  # 4e-3 was best on one seed and failed on the other
    assert [trial.run for trial in found.trials][:3] == ["0.001-7", "0.001-8", "0.002-7"]
    assert (len(found.trials), found.flops, found.seed) == (6, 60.0, 7)
    losses[4e-3, 8] = 3.6  # no failure, but a mean of 3.05 that is no longer the best
    (found,) = choose([search("a")], tune, {}, train, lambda _: None).values()
    assert 1e-3 < found.values["optim.lr"] < 4e-3


def test_what_was_chosen_is_neither_searched_again_nor_changed() -> None:
    known = choose([search("a")], TUNE, {}, Trainer({"a": 2e-3}), lambda _: None)
    train = Trainer({"a": 1e-3, "b": 2e-3})
    later = choose([search("a"), search("b")], TUNE, known, train, lambda _: None)
    assert later["a"] == known["a"]
    assert {words[0] for wanted in train.rounds for words in wanted} == {"b"}


def choice(name: str, rate: float) -> Choice:
    values = {"optim.lr": rate}
    return Choice(
        name, "nano", "none", values, (TrialRun(values, 3.0, "run"), TrialRun(values, None, "r")), True, 7, 9.0
    )


def test_choices_are_read_as_they_were_written_and_never_overwritten(tmp_path: Path) -> None:
    assert read_choices(tmp_path) == {}
    write_choices(tmp_path, {"a": choice("a", 1e-3)})
    write_choices(tmp_path, {"a": choice("a", 5e-3), "b": choice("b", 2e-3)})
    assert read_choices(tmp_path) == {"a": choice("a", 1e-3), "b": choice("b", 2e-3)}
    (first, _) = json.loads((tmp_path / "choices.json").read_text())
    assert first["trials"][0] == {"values": {"optim.lr": 1e-3}, "loss": 3.0, "run": "run"}
    (tmp_path / "choices.json").write_text("[{}]")
    with pytest.raises(ValueError, match="is damaged"):
        read_choices(tmp_path)


def test_a_search_without_its_knobs_names_the_first_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r"tune\.seed has no value"):
        read({"space": {"optim.lr": None}})
