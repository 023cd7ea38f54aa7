"""Latent attention against transformers' DeepSeek-V3, its two forms against each other, and what it costs and holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from algoprog.model.attention.mla import LatentAttention
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.places import Following
from algoprog.model.interface.roles import Role
from algoprog.model.interface.site import Site, Work
from tests.configs import TINY, assert_same, context, gpt, options, part, shaken, tokens
from tests.model.counting import CountingKernel, counted
from tests.reference import reference

DIMS = Dims(d_model=32, n_layers=2, n_heads=4, seq_len=13, vocab_size=32, dropout=0.0, bias=True)
NANO = Dims(d_model=64, n_layers=2, n_heads=2, seq_len=256, vocab_size=4096, dropout=0.0, bias=True)


def mla(dims: Dims = DIMS, *, kernel: str = "math", **knobs: Any) -> Backbone:
    return gpt(dims, attention=part("attention", "mla", **knobs), kernel=kernel)


def large(module: nn.Module) -> None:
    """Weights under which attention is far from even, biases and gains that are not those at the start."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)


def deepseek(layer: LatentAttention, *, interleaved: bool) -> tuple[Any, Tensor, Tensor]:
    """Their attention with the weights of ours, and the tables of their rotation."""
    config = reference("transformers.models.deepseek_v3.configuration_deepseek_v3").DeepseekV3Config(
        hidden_size=DIMS.d_model,
        num_attention_heads=DIMS.n_heads,
        num_key_value_heads=DIMS.n_heads,
        kv_lora_rank=layer.kv_rank,
        q_lora_rank=None if isinstance(layer.q, nn.Identity) else len(layer.q.gain),
        qk_rope_head_dim=layer.d_rope,
        qk_nope_head_dim=DIMS.d_head,
        v_head_dim=DIMS.d_head,
        attention_bias=True,
        rope_interleave=interleaved,
        attn_implementation="eager",
    )
    theirs = reference("transformers.models.deepseek_v3.modeling_deepseek_v3")
    attention, rotation = theirs.DeepseekV3Attention(config, 0), theirs.DeepseekV3RotaryEmbedding(config)
    attention.load_state_dict(weights_as_theirs(layer, interleaved))
    return attention.eval(), *rotation(torch.zeros(1), torch.arange(DIMS.seq_len)[None])


def weights_as_theirs(layer: LatentAttention, interleaved: bool) -> dict[str, Tensor]:
    """Content and turned part lie head by head with them, one behind the other with us."""
    heads = DIMS.n_heads

    def by_head(first: Tensor, second: Tensor) -> Tensor:
        return torch.cat((first.unflatten(0, (heads, -1)), second.unflatten(0, (heads, -1))), dim=1).flatten(0, 1)

    def turned(rows: Tensor, heads: int) -> Tensor:
        """Pairs of neighbours instead of halves."""
        return rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2) if interleaved else rows

    *of_queries, latent, rope = layer.qkv.weight.split(layer.widths)
    of_bias = layer.qkv.bias[-layer.kv_rank - layer.d_rope :]
    compressed = not isinstance(layer.q, nn.Identity)
    q, q_rope = layer.q.weight.split(layer.q_rows) if compressed else of_queries
    queries = by_head(q, turned(q_rope, heads))
    first, rest = of_bias.split((layer.kv_rank, layer.d_rope))
    return {
        **(
            {
                "q_a_proj.weight": of_queries[0],
                "q_a_proj.bias": layer.qkv.bias[: len(of_queries[0])],
                "q_a_layernorm.weight": layer.q.gain,
                "q_b_proj.weight": queries,
            }
            if compressed
            else {"q_proj.weight": queries}
        ),
        "kv_a_proj_with_mqa.weight": torch.cat((latent, turned(rope, 1))),
        "kv_a_proj_with_mqa.bias": torch.cat((first, turned(rest, 1))),
        "kv_a_layernorm.weight": layer.kv.gain,
        "kv_b_proj.weight": by_head(*layer.kv.weight.split(layer.kv.rows)),
        "o_proj.weight": layer.out.weight,
        "o_proj.bias": layer.out.bias,
    }


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("q_rank", [None, 0.75])
@pytest.mark.parametrize("kernel", options("kernel"))
def test_it_is_deepseek_v3_s(q_rank: float | None, interleaved: bool, kernel: str) -> None:
    """Forwards and backwards, with weights copied over; their queries without a latent have no bias."""
    model = mla(q_rank=q_rank, kernel=kernel)
    layer = model.blocks[0].attention
    large(layer)
    if q_rank is None:
        nn.init.zeros_(layer.qkv.bias[: sum(layer.q_rows)])
    theirs, cos, sin = deepseek(layer, interleaved=interleaved)
    x = torch.randn(2, DIMS.seq_len, DIMS.d_model, generator=torch.Generator().manual_seed(1), requires_grad=True)
    future = torch.full((DIMS.seq_len, DIMS.seq_len), -torch.inf).triu(1)[None, None]
    expected, weights = theirs(x, (cos, sin), future)
    assert weights.max() > 0.9, "attention is far from even"
    ours = layer(x, context(model, DIMS.seq_len))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    (one,), (other,) = (torch.autograd.grad(out.square().sum(), x) for out in (ours, expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * other.abs().max().item())


@pytest.mark.parametrize("q_rank", [None, 0.5])
@pytest.mark.parametrize("kernel", options("kernel"))
@torch.no_grad()
def test_latents_as_keys_give_what_keys_written_out_give(q_rank: float | None, kernel: str) -> None:
    """The absorbed form of a layer alone: prompts of unequal length, then token by token."""
    model = shaken(mla(q_rank=q_rank, kernel=kernel))
    layer, there = model.blocks[0].attention, context(model, DIMS.seq_len)
    x = torch.randn(3, DIMS.seq_len, DIMS.d_model, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole, state = layer(x, there), layer.new_state(3, DIMS.seq_len)
    held, lengths = torch.zeros(3, dtype=torch.long), torch.tensor([4, 1, 3])
    read = layer.step(x[:, :4], replace(there, places=Following(held, lengths, 4)), state)
    for row, length in enumerate(lengths.tolist()):
        assert_same(read[row, :length], whole[row, :length])
    for further in range(5):
        at = (lengths + further)[:, None]
        new = x.take_along_dim(at[..., None], dim=1)
        one = layer.step(new, replace(there, places=Following(lengths + further, torch.ones_like(lengths), 1)), state)
        assert_same(one, whole.take_along_dim(at[..., None], dim=1))


def test_its_matrices_are_about_as_large_as_dense_ones() -> None:
    """Six per cent more at nano, where the turned part of the one key is a quarter of the width; 1 % at 12 heads."""
    for dims, more in ((NANO, 0.0625), (replace(NANO, d_model=768, n_heads=12), 0.0104)):
        with torch.device("meta"):
            ours, dense = (gpt(dims, seed=None, attention=name) for name in ("mla", "dense"))
        own, other = (
            sum(each.parameter.numel() for each in layer.parameters_by_role() if each.role is Role.MATRIX)
            for layer in (ours.blocks[0].attention, dense.blocks[0].attention)
        )
        assert own / other == pytest.approx(1 + more, abs=1e-4)


def test_its_state_is_a_latent_and_one_turned_key() -> None:
    """At nano 0.375 of the bytes of dense attention; the share falls with the number of heads."""
    model, dense = gpt(NANO, attention="mla"), gpt(NANO)
    assert model.state_bytes(256) == 2 * 256 * (32 + 16) * 4
    assert model.state_bytes(256) / dense.state_bytes(256) == 0.375
    facts = model.facts()
    assert (facts["kv_rank"], facts["d_rope"], facts["attention_density"]) == (32, 16, 1)


@pytest.mark.parametrize("q_rank", [None, 0.5])
def test_both_forms_cost_what_is_counted(q_rank: float | None) -> None:
    dims = replace(TINY, seq_len=16)
    model, x = mla(dims, q_rank=q_rank), tokens(2, dims)
    model.kernel = CountingKernel(Site.shared(dims))
    assert counted(lambda: model(x)) == model.flops(Work("train", 2, 16, 16))
    state = model.new_state(2, 16)
    assert counted(lambda: model.step(x[:, :9], state)) == model.flops(Work("prefill", 2, 9, 9))
    for length, one in ((10, x[:, 9:10]), (11, x[:, 10:11])):
        assert counted(partial(model.step, one, state)) == model.flops(Work("decode", 2, 1, length))


@pytest.mark.parametrize("pos", options("pos"))
def test_its_positions_are_its_own(pos: str) -> None:
    """Whatever the axis says: nothing is added to the embedding, and the order is known all the same."""
    model, x = shaken(gpt(attention="mla", pos=pos)), tokens(1)
    assert not [name for name, _ in model.named_parameters() if name.startswith("pos.")]
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        model.blocks = model.blocks[:1]
        assert (model(x)[:, -1] - model(turned)[:, -1]).abs().max() > 1e-3
        assert_same(model(x), shaken_without_positions()(x))


def shaken_without_positions() -> Backbone:
    model = shaken(gpt(attention="mla", pos="none"))
    model.blocks = model.blocks[:1]
    return model


def test_it_shares_with_dense_attention_what_both_have() -> None:
    for plain, changed in zip(gpt().blocks, gpt(attention="mla").blocks, strict=True):
        assert changed.attention.out.weight.equal(plain.attention.out.weight)
        ours, dense = changed.attention.qkv.weight, plain.attention.qkv.weight
        assert ours[: TINY.d_model].equal(dense[: TINY.d_model]), "queries without position"


@pytest.mark.parametrize(("n_heads", "d_rope"), [(1, 16), (4, 4), (8, 2), (32, 2)])
def test_odd_and_narrow_heads_turn_whole_pairs(n_heads: int, d_rope: int) -> None:
    for width in (DIMS.d_model, 3 * DIMS.n_heads * n_heads):
        dims = replace(DIMS, d_model=width, n_heads=n_heads)
        model = shaken(mla(dims))
        assert model.blocks[0].attention.d_rope == (d_rope if width == 32 else 2 * -(-12 // 4))
        assert model(tokens(1, dims)).isfinite().all()


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"kv_rank": 0.01}, "attention=mla: attention.kv_rank=0.01 leaves no feature of model.d_model=32"),
        ({"q_rank": 0.0}, "attention.q_rank=0.0 leaves no feature of model.d_model=32"),
        ({"rope_width": 0.0}, "attention.rope_width=0.0 must be above 0"),
        ({"theta": -1.0}, "attention.theta=-1.0 must be above 0"),
    ],
)
def test_refusals_name_the_knob(knobs: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mla(**knobs)


@pytest.mark.parametrize("kernel", options("kernel"))
def test_bf16_stays_close_to_float32(kernel: str) -> None:
    model, x = mla(kernel=kernel), tokens(2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, read = model(x), model.step(x, model.new_state(2, DIMS.seq_len))
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
    torch.testing.assert_close(read.float(), model(x), atol=0.02, rtol=0.05)
