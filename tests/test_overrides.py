"""What the words of a command line mean for a run."""

from __future__ import annotations

import pytest

from algoprog.overrides import context, parse, quoted, with_moved_axes, without_axes


@pytest.mark.parametrize(
    "word",
    [
        "attention=mqa",
        "attention.n_kv_heads=2",
        "norm@final_norm=rmsnorm",
        "final_norm.eps=1e-3",
        "variant=ln+rope+flash",
        "kernel=flash",
    ],
)
def test_the_baseline_drops_every_axis_word(word: str) -> None:
    assert without_axes(["model=micro", word, "seed=1"]) == ["model=micro", "seed=1"]


def test_the_baseline_keeps_everything_else() -> None:
    words = ["optim.lr=1e-3", "budget=smoke", "data=local", "data.path=a/b.txt", "trainer=cpu"]
    assert without_axes(words) == words


def test_context_is_what_is_neither_axis_model_seed_nor_execution() -> None:
    words = [
        "attention=mqa",
        "model=micro",
        "seed=3",
        "optim.lr=0.01",
        "budget=smoke",
        "trainer.threads=1",
        "logger=csv",
    ]
    assert context(words) == {"optim.lr": "0.01", "budget": "smoke"}


def test_changed_sizes_are_context() -> None:
    assert context(["model=micro", "model.n_heads=2"]) == {"model.n_heads": "2"}


@pytest.mark.parametrize("text", ["plain", "it's", "a b,c=d", "back\\slash", "end\\", "[a] {b}", "ln+rope+flash"])
def test_quoted_text_comes_back_as_it_was(text: str) -> None:
    (override,) = parse([f"key={quoted(text)}"])
    assert override.value() == text


def test_a_knob_that_is_added_to_an_axis_is_none_of_the_baseline() -> None:
    words = ["attention._target_=fault.Fault", "+attention.at=8", "~mlp.expansion", "+width=3", "seed=1"]
    assert without_axes(words) == ["+width=3", "seed=1"]


def test_a_moved_axis_may_stand_behind_plus_signs() -> None:
    assert with_moved_axes(["++baseline.kernel=flash"]) == ["kernel=flash", "++baseline.kernel=flash"]
