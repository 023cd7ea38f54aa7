"""Designs beside plain words: what is multiplied, replaced, left out and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import exp
from typing import Any

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from algoprog import build
from algoprog.ceg.interactions import interactions
from algoprog.ceg.simulate.curves import World
from algoprog.config import OF_THE_SWEEP, conf_dir
from algoprog.sweep.design.compare import Words, baseline_words
from algoprog.sweep.design.composer import Composer
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import check_sweeper, jobs
from algoprog.variant import cohort, variant


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def asked(*words: str) -> list[Words]:
    """The words of every run of `train.py -m WORDS`."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", list(words), run_mode=RunMode.MULTIRUN)
    return jobs(
        config, list(config.hydra.overrides.task), config.hydra.sweeper.params, loader, composition(config, loader)
    )


def composed(found: list[Words]) -> list[dict[str, Any]]:
    """Their configurations."""
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    composer = Composer(composition(config, loader))
    return [composer(job) for job in found]


def test_a_design_is_multiplied_with_plain_sweeps() -> None:
    found = asked("design=leave_one_out", "model=nano,micro", "seed=0,1,2")
    assert len(found) == 5 * 2 * 3
    assert len(set(map(tuple, found))) == len(found)
    assert not any("design" in word for job in found for word in job)


def test_lists_may_be_typed_with_and_without_brackets() -> None:
    base = ["design=factorial", "design.parts.kernel=[]", "design.parts.pos=[]"]
    assert asked(*base, "design.parts.norm=[ln,rmsnorm]") == asked(*base, "design.parts.norm=ln,rmsnorm")
    assert asked("design=paper", "design.variants=none,ln") == [[], ["norm=ln"]]


def test_the_command_line_goes_before_what_a_design_varies() -> None:
    words = ["design=paper", "design.variants=none,ln", "+design.vary={seed:[0,1]}", "seed=7"]
    assert asked(*words, "design.zip=[{model:[nano,micro],optim.lr:[1e-3,5e-4]}]") == [
        ["seed=7", f"model={model}", f"optim.lr={lr}", *arm]
        for model, lr in (("nano", "0.001"), ("micro", "0.0005"))
        for arm in ([], ["norm=ln"])
    ]


def test_a_design_replaces_the_variants_of_an_experiment() -> None:
    found = asked("experiment=demo", "design=leave_one_out")
    assert len(found) == 5 * 4  # seeds
    assert not any(word.startswith("variant") for job in found for word in job)


@settings(max_examples=10)
@given(st.sets(st.sampled_from(["nano", "micro", "mini"]), min_size=1), st.sets(st.integers(0, 3), min_size=1))
def test_exactly_what_is_excluded_is_left_out(models: set[str], seeds: set[int]) -> None:
    words = ["design=factorial", "model=nano,micro,mini,small", "seed=0,1,2,3"]
    whole = asked(*words)
    entry = f"{{model:[{','.join(sorted(models))}],seed:{sorted(seeds)},norm:ln,kernel:math}}".replace(" ", "")
    found = asked(*words, f"design.exclude=[{entry}]")
    left_out = [job for job in whole if job not in found]
    assert len(left_out) == len(models) * len(seeds) * 2  # with and without rope
    assert all("norm=ln" in job and "kernel=flash" not in job for job in left_out)
    assert len(found) + len(left_out) == len(whole)


def test_a_variant_can_be_excluded_by_name() -> None:
    found = asked("design=factorial", "design.exclude=[{variant:rope+flash}]")
    assert len(found) == 7
    assert ["pos=rope", "kernel=flash"] not in found


KNOBS = ("design=factorial", "design.parts.attention=['gqa(group_size=4)',gqa,mqa]", "design.parts.kernel=[]")
"""Sixteen variants: four options of attention, with and without ln, with and without rope."""


@pytest.mark.parametrize(
    ("entry", "left_out"),
    [
        ("{attention:'gqa(group_size=4)'}", 4),
        ("{attention:'gqa(group_size=2)'}", 4),  # what stands in the yaml
        ("{attention:gqa}", 8),
        ("{attention:[gqa,dense],norm:ln}", 6),
        ("{attention.group_size:4}", 4),
        ("{attention:dense,pos:learned}", 2),
        ("{variant:'gqa(group_size=4)+rope'}", 1),
        ("{variant:ln+gqa}", 1),
        ("{variant:gqa}", 1),
        ("{variant:none}", 1),
    ],
)
def test_an_option_is_excluded_with_its_knobs_or_with_any(entry: str, left_out: int) -> None:
    whole = asked(*KNOBS)
    assert len(whole) == 16
    assert len(whole) - len(asked(*KNOBS, f"design.exclude=[{entry}]")) == left_out


def test_two_spellings_of_a_number_are_the_same() -> None:
    words = ("norm=ln", "norm.eps=1e-5,0.01", "optim.lr=0.001,2e-3")
    assert len(asked(*words, "design.exclude=[{norm:'ln(eps=0.00001)'}]")) == 2
    assert len(asked(*words, "design.exclude=[{norm:'ln(eps=1e-2)',optim.lr:1e-3}]")) == 3


def test_the_options_of_named_variants_are_excluded_too() -> None:
    assert asked("variant=none,ln,ln+rope+flash", "design.exclude=[{norm:ln,pos:rope}]") == [
        ["variant=none"],
        ["variant=ln"],
    ]
    assert asked("variant=none,ln,rope", "design.exclude=[{variant:[ln,none]}]") == [["variant=rope"]]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (["hydra/sweeper=basic", "hydra/launcher=basic", "design=factorial"], "design=factorial asks for one"),
        (["hydra/sweeper=basic", "hydra/launcher=basic", "+design.vary={seed:[0]}"], "design.vary={seed:[0]} asks"),
        (["hydra/sweeper=basic"], "add hydra/launcher=basic"),
    ],
)
def test_another_sweeper_is_refused_where_only_ours_will_do(config: list[str], says: str) -> None:
    loader = GlobalHydra.instance().config_loader()
    with pytest.raises(ValueError, match=r"^hydra/sweeper=basic") as caught:
        check_sweeper(loader.load_configuration("config", config, run_mode=RunMode.MULTIRUN))
    assert says in str(caught.value)
    check_sweeper(loader.load_configuration("config", ["design=factorial"], run_mode=RunMode.MULTIRUN))
    plain = ["hydra/sweeper=basic", "hydra/launcher=basic"]
    check_sweeper(loader.load_configuration("config", plain, run_mode=RunMode.MULTIRUN))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["design=paper,factorial"], "names several designs"),
        (["design=factorial", "norm=ln,rmsnorm"], "both choose the variant"),
        (["design=factorial", "variant=ln,rope"], "both choose the variant"),
        (["design=paper", "design.zip=[{model:[nano,micro]}]", "model=nano"], "set by design.zip too"),
        (["design=factorial", "+design.vary={norm:[ln]}"], "sets norm twice"),
        (["design=ladder", "design.zip=[{model:[nano,micro]}]"], "sets model twice"),
        (["design=factorial", "+design.parts.norms=[ln]"], "the axis norms"),
        (["design=factorial", "design.parts.norm=[lm]"], "norm has no option lm"),
        (["design=ladder", "design.exclude=[{seed:[0,1,2]}]"], "leaves out every combination"),
        (["design=ladder", "design.exclude=[{sead:0}]"], "names sead, which is no setting"),
        (["design=ladder", "design.exclude=[{norm:lm}]"], "norm has no option lm: choose among "),
        (["design=ladder", "design.exclude=[{variant:lm}]"], "no axis has the option lm"),
        (["design=ladder", "design.exclude=[{model:[nano,huge]}]"], "model has no option huge: choose among"),
        (["design=ladder", "design.exclude=[{attention:'gqa(size=2)'}]"], "no knob size: it has group_size"),
        (["design=ladder", "design.exclude=[{model:nano,seed:7}]"], "{model: nano, seed: 7}, which no combination"),
        (["design=ladder", "design.exclude=[{seed:7}]"], "(seed is 0, 1, 2)"),
        (["design=ladder", "design.exclude=[{norm:rmsnorm}]"], "(norm is none, ln)"),
        (
            [*KNOBS, "design.exclude=[{attention:'gqa(group_size=3)'}]"],
            "(attention is dense, gqa(group_size=4), gqa, mqa)",
        ),
        (["design=ladder", "design.exclude=[{variant:ln,norm:none}]"], "{variant: ln, norm: none}, which no"),
    ],
    ids=lambda value: " ".join(value)[:50],
)
def test_what_contradicts_itself_gets_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        asked(*words)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_axis_that_an_experiment_sets_moves_the_baseline(tmp_path: Any) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "moved.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /norm: ln\n", encoding="utf-8"
    )
    words = [f"hydra.searchpath=[{tmp_path}]", "experiment=moved"]
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)
    found = jobs(config, [*words, "norm=none,ln,rmsnorm"], None, loader, composition(config, loader))
    composer = Composer(composition(config, loader))
    assert [variant(composer(job)) for job in found] == ["norm=none", "none", "rmsnorm"]
    assert {variant(composer(baseline_words(job, composer))) for job in found} == {"none"}
    assert len({cohort(composer(job), "data") for job in found}) == 1
    assert cohort(composer(found[1]), "data") != cohort(composed([["norm=ln"]])[0], "data")


@pytest.mark.slow
def test_another_optimizer_keeps_its_own_rate_where_an_experiment_sets_one() -> None:
    words = ("experiment=demo", "variant=none", "seed=0", "optim=adamw,muon")
    adamw, muon = composed(asked(*words, "tune=none"))
    assert (adamw["optim"]["lr"], muon["optim"]["lr"]) == (4e-3, 1e-3)
    assert muon["against"]["optim"] == adamw["optim"]
    assert "optim" not in composed(asked(*words))[1].get("against", {})  # where rates are searched they move nothing
    assert variant(muon) == "muon"
    assert cohort(muon, "data") == cohort(adamw, "data")


@pytest.mark.slow
def test_put_together_configurations_equal_those_that_hydra_composes() -> None:
    found = asked("design=paper", "model=nano,micro", "seed=0,1", "optim.lr=1e-3,2e-3", "experiment=demo")
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    together = composed(found)
    assert len(together) == 7 * 2 * 2 * 2
    for index in range(0, len(found), 11):
        assert together[index] == build.resolve(loader.load_sweep_config(config, found[index]))


@pytest.mark.parametrize(
    "words",
    [
        ["precision=32", "attention=mqa", "attention.n_kv_heads=2", "model.dropout=0.5"],
        ["optim.lr=1e-3", "optim=muon", "optim.lr=1e-2", "data=sotu"],
        ["attention={n_kv_heads:2}", "attention=gqa", "wandb.tags=[a,'b c']"],
        ["seed=1", "++seed=2", "+model.new=3"],
        ["~budget.steps", "norm=ln"],
        ["experiment=demo", "model=micro", "seed='7'"],
        ["model.d_model=wide"],
        ["nothing=1", "norm=ln"],
        ["norm=nothing", "seed=1"],
    ],
)
def test_values_are_set_as_hydra_sets_them(words: list[str]) -> None:
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)

    def told(compose: Callable[[list[str]], DictConfig]) -> Any:
        try:
            whole = OmegaConf.to_container(compose(words), resolve=False)
        except HydraException as error:
            return str(error)
        assert isinstance(whole, dict)
        return {key: value for key, value in whole.items() if key not in OF_THE_SWEEP}

    assert told(composition(config, loader)) == told(lambda words: loader.load_sweep_config(config, words))


def test_words_that_change_the_same_setting_are_left_to_hydra() -> None:
    found = [["variant=ln", "norm=none"], ["variant=rope", "norm=rmsnorm"], ["model=micro", "model.n_layers=3"]]
    configs = composed(found)
    assert [variant(config) for config in configs] == ["none", "rmsnorm+rope", "none"]
    assert configs[2]["model"]["n_layers"] == 3


@pytest.mark.parametrize("design", ["factorial", "leave_one_out"])
def test_interactions_take_apart_what_a_design_trains(design: str) -> None:
    world = World().quiet()
    single = {"ln": 1.5, "rope": 1.8, "flash": 1.1}
    curves = []
    for config in composed(asked(f"design={design}", "model=nano,micro")):
        changes = variant(config).split("+")
        gain = float(np.prod([single.get(change, 1.0) for change in changes]))
        curve = world.curve(np.random.default_rng(0), gain, variant(config), config["seed"])
        curves.append(replace(curve, model=config["model"]["name"], cohort=cohort(config, "data")))
    found = interactions(curves)
    assert [taken.model for taken in found] == ["nano", "micro"]
    for taken in found:
        assert taken.joint.name == "flash+ln+rope"
        assert {share.name for share in taken.last} == set(single)
        rope = next(share for share in taken.last if share.name == "rope")
        assert rope.ceg == pytest.approx(exp(world.truth(1.5 * 1.8 * 1.1) - world.truth(1.5 * 1.1)), rel=0.05)
        assert {share.name for share in taken.shapley} == (set(single) if design == "factorial" else set())
        assert {share.name for share in taken.singles} == (set(single) if design == "factorial" else set())
