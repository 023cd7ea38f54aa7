"""What joins layers besides the stream, against the recursions of its papers; heads of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.roles import Role
from tests.configs import TINY, assert_same, context, gpt, options, part, shaken, tokens
from tests.model.test_steps import by_steps

DEEP = replace(TINY, n_layers=5)


def model_of(skip: str, **parts: Any) -> Backbone:
    return shaken(gpt(DEEP, skip=skip, norm="ln", **parts))


def stream(model: Backbone, x: Tensor) -> tuple[Tensor, Any]:
    there = context(model, x.shape[1])
    return model.dropout(model.pos.embed(model.embedding(x), there.places)), there


def read(model: Backbone, x: Tensor) -> Tensor:
    return model.final_norm(x) @ model.embedding.table.weight.T


def test_x0_is_the_embedding_again() -> None:
    """x <- a_l x + b_l x0 in front of every layer."""
    model = model_of("x0")
    x0, there = stream(model, tokens(2))
    x = x0
    for layer, block in enumerate(model.blocks):
        x = block(model.skip.of_stream[layer] * x + model.skip.of_input[layer] * x0, there)
    assert_same(model(tokens(2)), read(model, x))


@pytest.mark.parametrize("n_layers", [2, 4, 5])
def test_unet_joins_mirror_images(n_layers: int) -> None:
    """Pushed by the first half, popped by the second."""
    model = shaken(gpt(replace(TINY, n_layers=n_layers), skip="unet"))
    x, there = stream(model, tokens(2))
    stack: list[Tensor] = []
    for layer, block in enumerate(model.blocks):
        if layer >= n_layers - n_layers // 2:
            x = x + model.skip.weight[n_layers - 1 - layer] * stack.pop()
        x = block(x, there)
        if layer < n_layers // 2:
            stack.append(x)
    assert not stack
    assert_same(model(tokens(2)), read(model, x))


def test_value_residual_is_its_equation() -> None:
    """Zhou et al. 2024, equation 6: softmax(q k) (a v + b v0), written out."""
    model = model_of("value")
    x, there = stream(model, tokens(2))
    first = None
    for layer, block in enumerate(model.blocks):
        normed = block.attention_norm(x)
        own = block.attention
        q, k, v = (own._split(part) for part in own.qkv(normed).split(own.widths, dim=-1))
        first = v if first is None else first
        if layer:
            v = model.skip.of_own[layer - 1] * v + model.skip.of_first[layer - 1] * first
        scores = (q @ k.mT / TINY.d_head**0.5).masked_fill(~own.mask(x.shape[1]), -torch.inf)
        x = x + own.out((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.mlp_norm(x), there)
    assert_same(model(tokens(2)), read(model, x))


@pytest.mark.parametrize("skip", [name for name in options("skip") if name != "none"])
def test_skips_go_by_steps_in_deep_models(skip: str) -> None:
    model, x = model_of(skip, attention="window"), tokens(2)
    with torch.no_grad():
        assert_same(by_steps(model, x, (1, 4, 5, 9)), model(x))


@pytest.mark.parametrize("skip", [name for name in options("skip") if name not in ("none", "unet")])
def test_skips_begin_as_said(skip: str) -> None:
    """x0 with nothing of the embedding, four streams alike: the function without it."""
    model, x = gpt(DEEP, skip=skip), tokens(1)
    same = model(x).equal(gpt(DEEP)(x))
    assert same is (skip in ("x0", "hyper"))
    if skip == "value":
        plain = gpt(DEEP, skip=part("skip", "value", first=0.0))
        torch.testing.assert_close(plain(x), gpt(DEEP)(x))


@pytest.mark.parametrize("skip", ["value", "unet"])
def test_one_layer_has_nothing_to_join(skip: str) -> None:
    with pytest.raises(ValueError, match=rf"skip={skip} joins no layers of model\.n_layers=1"):
        gpt(replace(TINY, n_layers=1), skip=skip)


@pytest.mark.parametrize("parts", [{"attention": "mla"}, {"mixer": "gated_deltanet"}])
def test_values_are_those_of_heads(parts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="skip=value mixes the values of attention heads"):
        gpt(**parts, skip="value")


@pytest.mark.parametrize("backbone", options("backbone"))
def test_an_untied_head_is_a_table_of_its_own(backbone: str) -> None:
    tied, untied = (gpt(backbone=backbone, head=head) for head in ("tied", "untied"))
    assert untied.flops_per_token() == tied.flops_per_token()
    assert untied.n_params() - tied.n_params() == TINY.vocab_size * TINY.d_model
    assert untied.n_embedding_params() == tied.n_embedding_params()
    assert untied.n_active_body_params() == tied.n_active_body_params(), "budgets are the same"
    assert [own.parameter.shape for own in untied.parameters_by_role() if own.role is Role.HEAD] == [(32, 16)]
    assert not untied.head.weight.equal(untied.embedding.table.weight)
    with torch.no_grad():
        untied.head.weight.copy_(untied.embedding.table.weight)
    torch.testing.assert_close(untied(tokens(2)), tied(tokens(2)))
