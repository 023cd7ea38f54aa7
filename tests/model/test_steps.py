"""A model that reads a sequence by steps says what it says of the whole: for every option, wherever it is cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from algoprog.axes import MODEL
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.site import Work
from tests.configs import (
    TINY,
    assert_same,
    beside,
    beside_each_other,
    cases,
    gpt,
    options,
    part,
    shaken,
    tokens,
    unchecked_shapes,
)
from tests.model.test_flops import label

CASES = [pytest.param({axis: case}, id=f"{axis}={label(case)}") for axis in MODEL for case in cases(axis)] + [
    pytest.param({"attention": attention, "pos": part("pos", pos)}, id=f"{label(attention)}+{pos}")
    for attention in cases("attention")
    for pos in options("pos")
    if pos != "learned" and beside_each_other("attention", attention, "pos")
]


DEARER_TO_READ = ("mla",)
"""Options whose steps compute what whole sequences give in another form, which multiplies more and holds less."""


def built(parts: dict[str, Any]) -> Backbone:
    ((axis, case), *_) = parts.items()
    return shaken(gpt(**parts, **beside(axis, case)))


@torch.no_grad()
def by_steps(model: Backbone, x: Tensor, cuts: tuple[int, ...]) -> Tensor:
    """Logits of all positions, read in pieces that end at the cuts; between two equal ones there is no position."""
    state = model.new_state(len(x), x.shape[1])
    pieces = x.tensor_split(cuts, dim=1)
    return torch.cat([model.step(piece, state) for piece in pieces], dim=1)


@pytest.mark.parametrize("parts", CASES)
@torch.no_grad()
def test_steps_say_what_the_whole_says(parts: dict[str, Any]) -> None:
    model, x = built(parts), tokens(2)
    whole = model(x)
    for cuts in ((1, 2, 9), (4, 4)):
        assert_same(by_steps(model, x, cuts), whole)
    with unchecked_shapes():  # checking them takes longer than all the rest, and steps of these lengths were checked
        for cuts in ((), (5,), tuple(range(1, TINY.seq_len))):
            assert_same(by_steps(model, x, cuts), whole)


@pytest.mark.parametrize("parts", CASES)
@torch.no_grad()
def test_rows_of_unequal_length_do_not_meet(parts: dict[str, Any]) -> None:
    """Prompts of 2, 7 and 4 tokens padded to 7, then three tokens each: every row is as it would be alone."""
    model, x = built(parts), tokens(3)
    lengths = [2, 7, 4]
    prompts = x[:, :7].clone()
    for row, length in enumerate(lengths):
        prompts[row, length:] = 31  # padding is any token
    state = model.new_state(3, 12)
    logits = model.step(prompts, state, torch.tensor(lengths))
    assert state.lengths.tolist() == lengths
    following = torch.stack([row[length : length + 3] for row, length in zip(x, lengths, strict=True)])
    further = torch.cat([model.step(following[:, :1], state), model.step(following[:, 1:], state)], dim=1)
    assert state.lengths.tolist() == [length + 3 for length in lengths]
    for row, length in enumerate(lengths):
        alone = model(x[row : row + 1, : length + 3])[0]
        assert_same(logits[row, :length], alone[:length])
        assert_same(further[row], alone[length:])


@pytest.mark.parametrize("parts", CASES)
def test_the_bytes_of_a_state_are_those_that_are_allocated(parts: dict[str, Any]) -> None:
    model = built(parts)
    for context in (1, 9):
        states = model.new_layer_states(3, context)
        leaves = [leaf for state in states for leaf in _tensors(state)]
        assert sum(leaf.nbytes for leaf in leaves) == 3 * model.state_bytes(context)


def _tensors(state: Any) -> list[Tensor]:
    return list(tree_leaves(state if isinstance(state, (Tensor, tuple, list, dict)) else vars(state)))


def test_a_full_state_is_refused() -> None:
    model = gpt()
    state = model.new_state(1, 4)
    model.step(tokens(1)[:, :3], state)
    with pytest.raises(ValueError, match=r"3 \+ 2 positions are more than the state has room for, 4"):
        model.step(tokens(1)[:, 3:5], state)


@pytest.mark.parametrize("parts", CASES)
def test_decoding_costs_what_reading_costs(parts: dict[str, Any]) -> None:
    """A prompt is as much work as its tokens one by one, and as much as a forward pass in training, or more."""
    model, n = gpt(**parts, **beside(*next(iter(parts.items())))), 11
    prefill = model.flops(Work.prefill(n))
    assert sum(model.flops(Work.decode(context)) for context in range(1, n + 1)) == prefill
    if label(parts.get("attention", {"_target_": ".dense."})).startswith(DEARER_TO_READ):
        assert model.flops(Work.training(n)) < prefill
    else:
        assert model.flops(Work.training(n)) == prefill
    assert model.flops(Work("prefill", 3, n, n)) == 3 * prefill
