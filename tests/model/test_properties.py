"""What holds for every model that the options can be combined to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.configs import (
    ROUNDING,
    TINY,
    assert_same,
    beside_each_other,
    cases,
    context,
    gpt,
    options,
    part,
    shaken,
    tokens,
)
from tests.model.test_flops import label

VARIANTS = (
    [
        dict(zip(("attention", "norm", "pos", "kernel"), choice, strict=True))
        for choice in product(
            cases("attention"),
            (part("norm", name) for name in options("norm")),
            (part("pos", name) for name in options("pos")),
            (part("kernel", name) for name in options("kernel")),
        )
        if choice[2]["_target_"].endswith("LearnedPosition") or beside_each_other("attention", choice[0], "pos")
    ]
    + [
        dict(zip(("mixer", "norm"), choice, strict=True))
        for choice in product(
            (part("mixer", name) for name in options("mixer") if name != "attention"),
            (part("norm", name) for name in options("norm")),
        )
    ]
    + [
        dict(zip(("mlp", "norm", "final_norm"), choice, strict=True))
        for choice in product(
            (part("mlp", name) for name in options("mlp") if name != "gelu"),
            (part("norm", name) for name in options("norm")),
            (part("norm", name) for name in options("norm")),
        )
    ]
    + [
        dict(zip(("backbone", "norm"), choice, strict=True))
        for choice in product(
            (part("backbone", name) for name in options("backbone") if name != "transformer"),
            (part("norm", name) for name in options("norm")),
        )
    ]
    + [
        dict(zip(("block", "norm", "mlp"), choice, strict=True))
        for choice in product(
            (part("block", name) for name in options("block") if name != "pre"),
            (part("norm", name) for name in options("norm") if name != "none"),
            (part("mlp", name) for name in ("gelu", "swiglu")),
        )
    ]
    + [
        dict(zip(("block", "norm", axis), (part("block", block), part("norm", "ln"), part(axis, name)), strict=True))
        for block in options("block")
        for axis, name in (("attention", "mla"), ("mixer", "gated_deltanet"))
        if block != "pre"
    ]
)


def name(parts: dict[str, dict[str, Any]]) -> str:
    return "+".join(f"{axis}={label(p)}" for axis, p in parts.items())


def test_variants_are_many() -> None:
    assert len(VARIANTS) >= (4 + 4) * 3 * 3 * 2 + 1 * 3 * 3


@pytest.mark.parametrize("parts", VARIANTS, ids=name)
def test_causality(parts: dict[str, dict[str, Any]]) -> None:
    """Another token at t changes no logits before t, those at t, and some behind t."""
    model = shaken(gpt(**parts))
    places = (0, 5, 11)
    x = tokens(1).repeat(1 + len(places), 1)
    for row, t in enumerate(places, start=1):
        x[row, t] = (x[row, t] + 1) % TINY.vocab_size
    with torch.no_grad():
        logits = model(x)
    for t, changed in zip(places, logits[1:], strict=True):
        change = (changed - logits[0]).abs().amax(dim=-1)
        assert not t or change[:t].max() < ROUNDING * logits.abs().max()
        assert change[t] > 1e-3
        assert change[t + 1 :].max() > 1e-3


@pytest.mark.parametrize("parts", VARIANTS, ids=name)
def test_every_parameter_learns(parts: dict[str, dict[str, Any]]) -> None:
    """From the real initial weights, every row and column of a matrix and every vector gets a gradient."""
    model, x = gpt(**parts).train(), tokens(4)
    cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
    for path, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None, path
        assert gradient.isfinite().all(), path
        if path == "pos.table.weight":
            gradient = gradient[:-1]  # the last position saw no token
        if gradient.ndim == 2:
            assert gradient.any(dim=0).all(), path
            assert gradient.any(dim=1).all(), path
        assert gradient.abs().max() > 1e-9, path


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
