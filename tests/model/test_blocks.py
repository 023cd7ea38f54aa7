"""How a layer is wired, against torch's own layers and against the formulas of the papers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from algoprog.model.interface.backbone import Backbone
from tests.configs import TINY, assert_same, context, gpt, options, shaken

X = torch.randn(2, 7, TINY.d_model, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def after_a_layer(model: Backbone) -> Tensor:
    return model.blocks[0](X, context(model, X.shape[1]))


def copied(model: Backbone, *, norm_first: bool) -> nn.TransformerEncoderLayer:
    """Torch's layer with the weights of the model's first."""
    block = model.blocks[0]
    other = nn.TransformerEncoderLayer(
        TINY.d_model,
        TINY.n_heads,
        4 * TINY.d_model,
        dropout=0.0,
        activation="gelu",
        norm_first=norm_first,
        batch_first=True,
        dtype=torch.float64,
    )
    weights = {
        "self_attn.in_proj_weight": block.attention.qkv.weight,
        "self_attn.in_proj_bias": block.attention.qkv.bias,
        "self_attn.out_proj.weight": block.attention.out.weight,
        "self_attn.out_proj.bias": block.attention.out.bias,
        "linear1.weight": block.mlp.up.weight,
        "linear1.bias": block.mlp.up.bias,
        "linear2.weight": block.mlp.down.weight,
        "linear2.bias": block.mlp.down.bias,
        "norm1.weight": block.attention_norm.gain,
        "norm1.bias": block.attention_norm.bias,
        "norm2.weight": block.mlp_norm.gain,
        "norm2.bias": block.mlp_norm.bias,
    }
    other.load_state_dict({name: weight.detach() for name, weight in weights.items()})
    return other


@pytest.mark.parametrize(("block", "norm_first"), [("pre", True), ("post", False)])
def test_pre_and_post_norm_are_those_of_torch(block: str, norm_first: bool) -> None:
    model = shaken(gpt(block=block, norm="ln", pos="none"))
    other = copied(model, norm_first=norm_first)
    future = torch.ones(X.shape[1], X.shape[1], dtype=torch.bool).triu(1)
    assert_same(after_a_layer(model), other(X, src_mask=future))


@pytest.mark.parametrize("norm", ["ln", "rmsnorm"])
def test_sandwich_norms_updates_as_well(norm: str) -> None:
    model = shaken(gpt(block="sandwich", norm=norm))
    block, there = model.blocks[0], context(model, X.shape[1])
    h = X + block.attention_norm_after(block.attention(block.attention_norm(X), there))
    assert_same(after_a_layer(model), h + block.mlp_norm_after(block.mlp(block.mlp_norm(h), there)))
    norms = [block.attention_norm, block.attention_norm_after, block.mlp_norm, block.mlp_norm_after]
    assert len({id(part) for part in norms}) == 4


@pytest.mark.parametrize("norm", options("norm"))
def test_parallel_sublayers_see_the_same_input(norm: str) -> None:
    model = shaken(gpt(block="parallel", norm=norm))
    block, there = model.blocks[0], context(model, X.shape[1])
    normed = block.attention_norm(X)
    assert_same(after_a_layer(model), X + block.attention(normed, there) + block.mlp(normed, there))
    sequence = shaken(gpt(block="pre", norm=norm))
    assert (after_a_layer(sequence) - after_a_layer(model)).abs().max() > 1e-2, "even without a norm"


@pytest.mark.parametrize("block", ["post", "sandwich"])
def test_a_place_for_no_norm_is_refused_by_name(block: str) -> None:
    with pytest.raises(
        ValueError, match=rf"block={block} .* norm=none has none to place, .*norm=ln, or leave block=pre"
    ):
        gpt(block=block, norm="none")


def test_placements_have_the_norms_that_they_should() -> None:
    def norms(block: str) -> int:
        return sum(name.endswith("gain") for name, _ in gpt(block=block, norm="ln").named_parameters())

    counts = {block: norms(block) for block in options("block")}
    assert counts == {"pre": 5, "post": 5, "sandwich": 9, "parallel": 3, "reordered": 5}, (
        "two layers, and the final norm"
    )
