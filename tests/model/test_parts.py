"""Norms, MLPs and sizes against their formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from algoprog.model.dims import Dims
from algoprog.model.mlp.gelu import GeluMlp
from algoprog.model.mlp.swiglu import SwigluMlp
from algoprog.model.norm.ln import LayerNorm
from algoprog.model.norm.none import NoNorm
from algoprog.model.norm.rmsnorm import RMSNorm
from tests.configs import SITE, TINY, assert_same, context, gpt, part, shaken, tokens

X = torch.randn(2, 3, TINY.d_model, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
CONTEXT = context(gpt(), X.shape[1])


def test_layer_norm() -> None:
    norm = LayerNorm(SITE, eps=0.5).double()
    with torch.no_grad():
        norm.gain.mul_(2)
        norm.bias.add_(1)
    centred = X - X.mean(dim=-1, keepdim=True)
    expected = 2 * centred / (centred.square().mean(dim=-1, keepdim=True) + 0.5).sqrt() + 1
    assert_same(norm(X), expected)


def test_rms_norm() -> None:
    norm = RMSNorm(SITE, eps=0.5).double()
    with torch.no_grad():
        norm.gain.mul_(2)
    assert_same(norm(X), 2 * X / (X.square().mean(dim=-1, keepdim=True) + 0.5).sqrt())


def test_no_norm() -> None:
    assert NoNorm(SITE)(X) is X


def test_gelu_mlp() -> None:
    mlp = shaken(GeluMlp(SITE, expansion=2.0))
    hidden = X @ mlp.up.weight.T + mlp.up.bias
    hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    assert_same(mlp(X, CONTEXT), hidden @ mlp.down.weight.T + mlp.down.bias)


def test_swiglu_mlp() -> None:
    mlp = shaken(SwigluMlp(SITE, expansion=2.0))
    gate = X @ mlp.gate.weight.T + mlp.gate.bias
    hidden = gate * gate.sigmoid() * (X @ mlp.up.weight.T + mlp.up.bias)
    assert_same(mlp(X, CONTEXT), hidden @ mlp.down.weight.T + mlp.down.bias)


def test_swiglu_costs_what_gelu_costs() -> None:
    """Its default expansion makes the comparison one of equal FLOPs."""
    dims = replace(TINY, d_model=384)
    gelu, swiglu = gpt(dims, seed=None).flops_per_token(), gpt(dims, seed=None, mlp="swiglu").flops_per_token()
    assert swiglu == pytest.approx(gelu, rel=1e-3)


@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_mlp_without_features_is_refused(mlp: str) -> None:
    with pytest.raises(ValueError, match=f"mlp={mlp}: mlp.expansion=0.01 leaves no hidden feature"):
        gpt(mlp=part("mlp", mlp, expansion=0.01))


def test_head_is_tied_to_the_embedding() -> None:
    model = shaken(gpt(norm="ln"))
    seen = []
    model.final_norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(tokens(1))
    assert logits.equal(seen[0] @ model.embedding.table.weight.T)


def test_norm_comes_before_each_sublayer_and_the_stream_stays() -> None:
    block = shaken(gpt(norm="ln")).blocks[0]
    model = gpt()
    there = context(model, X.shape[1])
    after_attention = X + block.attention(block.attention_norm(X), there)
    expected = after_attention + block.mlp(block.mlp_norm(after_attention), there)
    assert block(X, there).equal(expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_heads": 5}, r"model.n_heads=5 does not divide model.d_model=16: use for example model.n_heads=4"),
        ({"n_layers": 0}, "model.n_layers=0 must be at least 1"),
        ({"seq_len": -1}, "model.seq_len=-1 must be at least 1"),
        ({"dropout": 1.0}, "model.dropout=1.0 must be at least 0 and below 1"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(TINY, **change)


def test_shapes_are_checked_under_test() -> None:
    """The import hook of conftest.py is at work: a wrong shape is an error at the signature."""
    from jaxtyping import TypeCheckError

    assert isinstance(TINY, Dims)
    with pytest.raises(TypeCheckError, match="batch seq d_model"):
        GeluMlp(SITE, expansion=1.0)(X[0], CONTEXT)
