"""Designs: how many variants they make, which, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from algoprog import build
from algoprog.axes import MODEL
from algoprog.baseline import meaningless
from algoprog.run.spec import priced
from algoprog.sweep.design.shape import factorial, leave_one_out, one_at_a_time, read
from algoprog.sweep.design.variants import arm, is_baseline, name, options, words
from algoprog.variant import variant
from tests.configs import compose

OPTIONS = {axis: [option for option in options(axis) if not is_baseline(axis, option)] for axis in MODEL}

SOME = st.lists(st.sampled_from(MODEL), min_size=1, max_size=4, unique=True)  # of all, there are billions
parts = SOME.flatmap(
    lambda axes: st.fixed_dictionaries(
        {axis: st.lists(st.sampled_from(OPTIONS[axis]), min_size=1, max_size=4, unique=True) for axis in axes}
    )
)
arms = SOME.flatmap(lambda axes: st.fixed_dictionaries({axis: st.sampled_from(OPTIONS[axis]) for axis in axes}))


def _keys(found: list[dict[str, str]]) -> list[tuple[tuple[str, str], ...]]:
    return [tuple(sorted(arm.items())) for arm in found]


@given(parts)
def test_one_at_a_time_is_the_baseline_and_each_option_alone(given: dict[str, list[str]]) -> None:
    found = one_at_a_time(given)
    assert found[0] == {}
    assert len(found) == 1 + sum(map(len, given.values()))
    assert all(len(arm) == 1 for arm in found[1:])
    assert len(set(_keys(found))) == len(found)


@given(parts)
def test_leave_one_out_holds_the_baseline_all_and_all_less_one(given: dict[str, list[str]]) -> None:
    found = leave_one_out(given)
    assert {} in found
    assert len(set(_keys(found))) == len(found)
    full = [arm for arm in found if len(arm) == len(given)]
    assert len(full) == math.prod(map(len, given.values()))
    less = [{axis: arm[axis] for axis in arm if axis != out} for arm in full for out in arm]
    assert set(_keys(found)) == {(), *_keys(full), *_keys(less)}


@given(parts)
def test_factorial_is_every_combination(given: dict[str, list[str]]) -> None:
    found = factorial(given)
    assert found[0] == {}
    assert len(found) == math.prod(1 + len(options) for options in given.values())
    assert len(set(_keys(found))) == len(found)


@given(arms)
def test_a_name_and_its_changes_say_the_same(given: dict[str, str]) -> None:
    assert arm(name(given)) == given


@settings(max_examples=6)
@given(arms)
@example({"mixer": "gated_deltanet", "kernel": "flash"})
def test_the_words_of_a_variant_make_it(given: dict[str, str]) -> None:
    absent = meaningless(compose(*words(given)))  # such as a kernel beside a mixer that has none
    meant = {axis: option for axis, option in given.items() if axis not in absent}
    assert variant(compose(*words(meant))) == name(meant)


def test_knobs_in_brackets_are_part_of_a_variant() -> None:
    label = "gqa(group_size=4)+rope"
    assert words(arm(label)) == ["attention=gqa", "attention.group_size=4", "pos=rope"]
    assert variant(compose(*words(arm(label)))) == label


@given(parts, st.sampled_from(["one_at_a_time", "leave_one_out", "factorial"]))
def test_the_baselines_option_among_the_parts_changes_nothing(given: dict[str, list[str]], shape: str) -> None:
    more = {axis: ["dense" if axis == "attention" else chosen[0], *chosen] for axis, chosen in given.items()}
    assert read({"shape": shape, "parts": more}).arms == read({"shape": shape, "parts": given}).arms


def test_every_shipped_design_makes_sense() -> None:
    from omegaconf import OmegaConf

    from algoprog.config import conf_dir

    found = {
        path.stem: read(OmegaConf.to_container(OmegaConf.load(path))) for path in (conf_dir() / "design").iterdir()
    }
    assert len(found["paper"].arms) == 7
    assert len(found["leave_one_out"].arms) == 5
    assert len(found["factorial"].arms) == 8
    assert found["product"].arms == ()
    assert [len(values) for values in (found["ladder"].arms, *found["ladder"].vary.values())] == [5, 3, 3]


@pytest.mark.slow
def test_no_design_enters_a_run() -> None:
    config = compose("design=leave_one_out")
    assert "design" not in config
    store = build.tokens(config)
    assert priced(config, store).run_id == priced(compose(), store).run_id


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"shape": "star"}, "design.shape=star must be one of product"),
        ({"shape": "factorial"}, "needs parts"),
        ({"shape": "factorial", "parts": {"norms": ["ln"]}}, "the axis norms"),
        (
            {"shape": "factorial", "parts": {"norm": ["lm"]}},
            "norm has no option lm: choose among ",
        ),
        ({"shape": "factorial", "parts": {"attention": ["gqa(size=2)"]}}, "has no knob size: it has group_size"),
        ({"shape": "factorial", "parts": {"attention": ["gqa(2)"]}}, "is no option"),
        ({"shape": "product", "parts": {"norm": ["ln"]}}, "takes no parts"),
        ({"shape": "factorial", "variants": ["ln"]}, "takes no variants"),
        ({"shape": "variants"}, "lists no variant"),
        ({"shape": "variants", "variants": ["pos=rope+precision=16+precision=32"]}, "changes one axis twice"),
        ({"shape": "variants", "variants": ["ln+rmsnorm"]}, "changes one axis twice"),
        ({"shape": "variants", "variants": ["pos=none+ln+elu"]}, "no axis has the option elu"),
        ({"shape": "variants", "variants": ["none+ln"]}, "write norm=none"),
        ({"shape": "product", "zip": [{"model": ["nano", "micro"], "seed": [0]}]}, "model has 2, seed has 1"),
        ({"shape": "product", "zip": {"model": ["nano"]}}, "must be a list"),
        ({"shape": "product", "vary": {"seed": []}}, "gives seed no value"),
        ({"shape": "product", "shapes": 1}, "design.shapes is no field of a design"),
    ],
)
def test_a_wrong_design_gets_one_sentence(raw: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        read(raw)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
