"""Designs whose variants follow from the options there are: every option alone, and every axis put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoprog.axes import AXES, DATA
from algoprog.baseline import baseline
from algoprog.config import conf_dir
from algoprog.sweep.design.composition import composition
from algoprog.sweep.design.jobs import design_of, jobs
from algoprog.sweep.design.shape import Design, read
from algoprog.sweep.plan.announce import tell_refused
from algoprog.sweep.plan.plan import Plan, left_out, plan
from tests.configs import TINY_RUN


@pytest.fixture(scope="module", autouse=True)
def hydra(cache_dir: Path) -> Iterator[None]:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def design(*words: str) -> Design:
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", list(words), run_mode=RunMode.MULTIRUN)
    return design_of(config, list(words), loader)


def planned(folder: Path, *words: str) -> Plan:
    loader = GlobalHydra.instance().config_loader()
    typed = [*TINY_RUN, *words]
    config = loader.load_configuration("config", typed, run_mode=RunMode.MULTIRUN)
    compose = composition(config, loader)
    return plan(jobs(config, typed, {}, loader, compose), compose, sweep_dir=folder, reuse=None)


def test_the_zoo_is_every_file_of_every_axis_but_the_baseline() -> None:
    found = design("design=zoo")
    there = {(axis.name, file.stem) for axis in AXES.values() for file in (conf_dir() / axis.group).glob("*.yaml")}
    base = {**baseline(), "schedule": "wsd"}
    trained = {pair for arm in found.arms for pair in arm.items()}
    assert found.arms[0] == {}
    assert all(len(arm) == 1 for arm in found.arms[1:])
    assert trained == {pair for pair in there if pair[0] not in DATA and base.get(pair[0]) != pair[1]}
    assert [words[0].split("=")[0] for words, _ in found.left_out] == list(DATA)
    assert found.tolerant


def test_the_zoo_is_one_of_the_baseline_that_is_chosen() -> None:
    found = design("design=zoo", "baseline=modern", "design.axes=[mlp,pos]")
    arms = {pair for arm in found.arms for pair in arm.items()}
    assert ("mlp", "gelu") in arms
    assert ("pos", "learned") in arms
    assert not {("mlp", "swiglu"), ("pos", "rope")} & arms
    assert {axis for axis, _ in arms} == {"mlp", "pos"}
    assert not found.left_out


def test_a_schedule_that_is_typed_holds_for_all_of_the_zoo() -> None:
    assert "schedule" not in design("design=zoo", "schedule=cosine").axes
    assert "schedule" in design("design=zoo").axes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["design.axes=[mpl]"], "the design names the axis mpl"),
        (["design.axes=[data]"], "compared in bits per byte of one text"),
        (["+design.parts={norm:[ln]}"], "takes no parts"),
        (["+design.gate=2"], "a design of shape every_option takes no gate: use shape screen"),
    ],
)
def test_a_zoo_that_makes_no_sense_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        design("design=zoo", *words)


def test_pairs_that_mean_nothing_are_left_out_with_their_reason(tmp_path: Path) -> None:
    found = planned(tmp_path, "design=zoo", "design.axes=[block,norm]")
    assert {spec.variant for spec, _ in found.todo} == {"none", "parallel", "dyt", "ln", "rmsnorm", "scalenorm"}
    told = {words[0][-1]: out["reason"] for out in left_out(found) for words in [out["words"]]}
    assert "norm=batchnorm" in told  # needs its batch whole
    assert told["block=post"].startswith("block=post with norm=none is the same function as block=pre")
    tell_refused(found, skip_refused=True)


def test_where_the_baseline_cannot_be_trained_nothing_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(tmp_path, "design=zoo", "design.axes=[pos]", "baseline=llama", "model.d_model=18")
    assert not found.todo
    with pytest.raises(SystemExit):
        tell_refused(found, skip_refused=True)
    assert "its baseline cannot be trained" in capsys.readouterr().err


def test_leave_one_out_from_another_baseline_puts_each_axis_back() -> None:
    then, now = baseline("gpt2_paper"), baseline("modern")
    found = design("design=leave_one_out", "baseline=modern")
    assert list(found.arms) == [{}, *({axis: then[axis]} for axis in now if now[axis] != then[axis])]
    assert len(found.arms) == 7


@pytest.mark.parametrize("words", [[], ["baseline.kernel=flash"], ["baseline=modern", "design.parts.norm=[ln]"]])
def test_leave_one_out_with_parts_or_from_the_usual_baseline_is_what_it_was(words: list[str]) -> None:
    former = {"shape": "leave_one_out", "parts": {"norm": ["ln"], "pos": ["rope"], "kernel": ["flash"]}}
    base = baseline(words[0].partition("=")[2]) if words and words[0].startswith("baseline=") else None
    assert design("design=leave_one_out", *words).arms == read(former, base).arms
