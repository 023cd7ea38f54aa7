"""What holds for every model that the options can be combined to."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.configs import (
    ROUNDING,
    TINY,
    assert_same,
    beside,
    cases,
    context,
    gpt,
    options,
    part,
    shaken,
    tokens,
)
from tests.model import covering
from tests.model.test_flops import label

ALONE = [
    {axis: case, **({} if axis == "norm" else {key: part(key, own) for key, own in beside(axis, case).items()})}
    for axis in covering.AXES
    for case in covering.values(axis)[1:]
]
"""Every option beside the baseline's."""

LSTM = [
    {"backbone": part("backbone", "lstm"), "norm": part("norm", norm), "final_norm": part("norm", last)}
    for norm, last in zip(options("norm"), reversed(options("norm")), strict=True)
]

REFUSED = {
    *("attention x mixer", "kernel x mixer", "mixer x pos"),  # a mixer that is no attention
    "attention x pos",  # latent attention brings positions of its own
    "block x norm",  # no norm to place
    "block x skip",  # no updates one after the other, which streams are weighed for
    "attention x qk_norm",  # latents are normalised
    "attention x sinks",  # gates of branches
    *(f"mixer x {axis}" for axis in ("output_gate", "qk_norm", "sinks", "softcap")),  # no softmax
    *("attention x skip", "mixer x skip"),  # latents and recurrences have no values of heads
    "kernel x softcap",  # fused kernels show no products
}
"""The axes of which some pairs mean nothing; anything else that is refused is a fault."""

VARIANTS = [*ALONE, *covering.models(), *LSTM]


def name(parts: dict[str, dict[str, Any]]) -> str:
    return "+".join(f"{axis}={label(p)}" for axis, p in parts.items())


def test_every_pair_of_options_stands_together_or_is_refused() -> None:
    rows, refused = covering.covering()
    for one, other in combinations(covering.AXES, 2):
        for choices in product(range(len(covering.values(one))), range(len(covering.values(other)))):
            pair = dict(zip((one, other), choices, strict=True))
            together = any(pair.items() <= row.items() for row in rows)
            assert together or frozenset(pair.items()) in refused, pair
    named = {" x ".join(sorted(axis for axis, _ in pair)) for pair in refused}
    assert named == REFUSED


@pytest.mark.parametrize("parts", VARIANTS, ids=name)
def test_causality(parts: dict[str, dict[str, Any]]) -> None:
    """Another token at t changes no logits before t, those at t, and some behind t."""
    model = shaken(gpt(**parts))
    for parameter in model.parameters():
        parameter.detach().mul_(0.6)  # without a norm in front of it a tanh would be 1 in every digit
    places = (0, 5, 11)
    x = tokens(1).repeat(1 + len(places), 1)
    for row, t in enumerate(places, start=1):
        x[row, t] = (x[row, t] + 1) % TINY.vocab_size
    with torch.no_grad():
        logits = model(x)
    for t, changed in zip(places, logits[1:], strict=True):
        change = (changed - logits[0]).abs().amax(dim=-1)
        assert not t or change[:t].max() < ROUNDING * logits.abs().max()
        assert change[t] > 1e-11  # far above the rounding of float64
        assert change[t + 1 :].max() > 1e-11


@pytest.mark.parametrize("parts", VARIANTS, ids=name)
def test_every_parameter_learns(parts: dict[str, dict[str, Any]]) -> None:
    """From the real initial weights, every row and column of a matrix and every vector gets a gradient."""
    model, x = gpt(**parts).train(), tokens(4)
    cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
    for path, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None, path
        if path == "skip.scale":
            continue  # of what is zero at first: it learns from the second step
        assert gradient.isfinite().all(), path
        if path == "pos.table.weight":
            gradient = gradient[:-1]  # the last position saw no token
        if path == "embedding.table.weight" and "head" in parts:
            gradient = gradient[x[:, :-1].unique()]  # with a head of its own, tokens unread learn nothing
        if gradient.ndim == 2 and path != "pos.table":  # of buckets that no distance falls into
            for side in (0, 1):
                learning = gradient.any(dim=side).double().mean()
                assert learning > 0.25 if ".mlp." in path else learning == 1, (
                    path
                )  # experts unasked, units that are off
        # Of dyt, which shrinks what is small, it is tiny at first, and of what is read from products of small inputs.
        assert gradient.abs().max() > 1e-20, path


@pytest.mark.parametrize("seq_len", [1, 2, 5, 12])
@pytest.mark.parametrize("attention", cases("attention"), ids=label)
def test_beginnings_of_a_sequence_are_sequences(attention: dict[str, Any], seq_len: int) -> None:
    """The first logits do not depend on how long the sequence goes on, where the pattern does not either."""
    fixed = {**attention, "window": 4} if attention.get("window") == "sqrt" else attention
    for kernel in options("kernel"):
        model = shaken(gpt(attention=fixed, pos="rope", kernel=kernel))
        with torch.no_grad():
            part_alone, in_whole = model(tokens(2)[:, :seq_len]), model(tokens(2))[:, :seq_len]
        assert_same(part_alone, in_whole)


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("attention", cases("attention"), ids=label)
def test_sequences_of_a_batch_do_not_meet(attention: dict[str, Any], kernel: str) -> None:
    model, x = shaken(gpt(attention=attention, kernel=kernel)), tokens(3)
    with torch.no_grad():
        assert_same(model(x)[1:2], model(x[1:2]))


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("attention", options("attention"))
@pytest.mark.parametrize("mlp", options("mlp"))
def test_dropout_is_for_training_alone(attention: str, kernel: str, mlp: str) -> None:
    model, x = gpt(replace(TINY, dropout=0.5), attention=attention, kernel=kernel, mlp=mlp), tokens(1)
    assert model(x).equal(model(x))
    assert not model.train()(x).equal(model(x))
    for block in model.blocks:
        h = torch.randn(1, TINY.seq_len, TINY.d_model)
        there = context(model, TINY.seq_len)
        assert not block.attention(h, there).equal(block.attention(h, there))
        assert not block.mlp(h, there).equal(block.mlp(h, there))
    q = torch.randn(1, TINY.n_heads, TINY.seq_len, TINY.d_head)
    v = torch.ones_like(q)
    dropped = model.kernel(q, q, v, None)
    assert dropped.min() < 0.9, "attention weights are dropped too"
    assert dropped.max() > 1.1, "what is left is scaled up"


def test_bf16_stays_close_to_float32() -> None:
    model, x = gpt(norm="ln", pos="rope", attention="gqa", kernel="flash"), tokens(2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(x)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
