"""The gated delta rule and the mixer around it against transformers' Qwen3-Next, with its cost and its state."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.roles import Role
from algoprog.model.interface.site import Work
from algoprog.model.recurrence import delta_rule
from algoprog.model.recurrence.delta_rule import CHUNK, chunked, recurrent
from algoprog.model.recurrence.gated_delta import GatedDelta
from tests.configs import TINY, assert_same, context, gpt, part, shaken, tokens
from tests.model.counting import counted
from tests.reference import reference

DIMS = Dims(d_model=32, n_layers=2, n_heads=4, seq_len=150, vocab_size=32, dropout=0.0, bias=False)
QWEN = "transformers.models.qwen3_next"


def deltanet(dims: Dims = DIMS, **knobs: Any) -> Backbone:
    return gpt(dims, mixer=part("mixer", "gated_deltanet", **knobs))


def inputs(seq_len: int, *, d_key: int = 5, d_value: int = 7, decay: float = 1.0) -> tuple[Tensor, ...]:
    """Queries, keys, values, logarithms of what is kept, strengths and a memory of two sequences and three heads."""
    generator = torch.Generator().manual_seed(seq_len)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    q, k, v = draw(2, 3, seq_len, d_key), draw(2, 3, seq_len, d_key), draw(2, 3, seq_len, d_value)
    k = k / k.norm(dim=-1, keepdim=True)
    return q, k, v, -decay * draw(2, 3, seq_len).exp(), draw(2, 3, seq_len).sigmoid(), draw(2, 3, d_key, d_value)


@pytest.mark.parametrize("seq_len", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 150])
@pytest.mark.parametrize("decay", [1e-4, 1.0, 50.0])
def test_chunks_give_what_the_recurrence_gives(seq_len: int, decay: float) -> None:
    """Outputs, memory and gradients, for memories that keep nearly all and that keep nearly nothing."""
    given = [each.requires_grad_() for each in inputs(seq_len, decay=decay)]
    results = [rule(*given) for rule in (chunked, recurrent)]
    assert_same(*results)
    weights = [torch.randn_like(each) for each in results[0]]
    gradients = [
        torch.autograd.grad(sum((w * each).sum() for w, each in zip(weights, result, strict=True)), given)
        for result in results
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9 * max(1.0, other.abs().max().item()), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 16, 1000])
def test_the_size_of_a_chunk_changes_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(40)
    expected = chunked(*given)
    monkeypatch.setattr(delta_rule, "CHUNK", size)
    assert_same(chunked(*given), expected)


def test_a_position_that_keeps_all_and_corrects_nothing_leaves_the_memory() -> None:
    q, k, v, log_kept, strength, memory = inputs(70)
    log_kept[:, :, 40:], strength[:, :, 40:] = 0, 0
    for rule in (chunked, recurrent):
        _, after = rule(q, k, v, log_kept, strength, memory)
        assert_same(after, rule(*(x[:, :, :40] for x in (q, k, v, log_kept, strength)), memory)[1])


def test_a_value_is_recalled_by_its_key_and_replaced() -> None:
    """At full strength and without forgetting a key gives back the last value that was written to it."""
    key = torch.eye(4)[:2].double()
    q = k = key[[0, 1, 0]][None, None]
    v = torch.randn(1, 1, 3, 6, dtype=torch.float64)
    given, memory = recurrent(
        q, k, v, torch.zeros(1, 1, 3).double(), torch.ones(1, 1, 3).double(), v.new_zeros(1, 1, 4, 6)
    )
    assert_same(given, v)
    assert_same(memory[0, 0, :2], v[0, 0, [2, 1]])


@pytest.mark.parametrize("rule", ["chunk", "recurrent"])
@pytest.mark.parametrize("seq_len", [1, 63, 150])
def test_the_rule_is_qwen3_next_s(rule: str, seq_len: int) -> None:
    """In float32, which theirs computes in; they scale and normalise inside, and have heads behind positions."""
    theirs = getattr(reference(f"{QWEN}.modeling_qwen3_next"), f"torch_{rule}_gated_delta_rule")
    q, k, v, log_kept, strength, memory = (each.float() for each in inputs(seq_len))
    expected, after = theirs(
        *(x.transpose(1, 2) for x in (q, k, v)),
        g=log_kept.transpose(1, 2),
        beta=strength.transpose(1, 2),
        initial_state=memory,
        output_final_state=True,
    )
    ours = {"chunk": chunked, "recurrent": recurrent}[rule]
    given, kept = ours(q / math.sqrt(5), k, v, log_kept, strength, memory)
    close(given.transpose(1, 2), expected)
    close(kept, after)


def close(ours: Tensor, theirs: Tensor) -> None:
    """To 1e-5 of the largest."""
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def qwen(layer: GatedDelta) -> torch.nn.Module:
    """Their mixer with the weights of ours; queries, keys, values and gates lie head by head with them."""
    config = reference(f"{QWEN}.configuration_qwen3_next").Qwen3NextConfig(
        hidden_size=DIMS.d_model,
        num_hidden_layers=1,
        linear_num_key_heads=layer.n_heads,
        linear_num_value_heads=layer.n_heads,
        linear_key_head_dim=layer.d_key,
        linear_value_head_dim=layer.d_value,
        linear_conv_kernel_dim=layer.conv.shape[1],
    )
    theirs = reference(f"{QWEN}.modeling_qwen3_next").Qwen3NextGatedDeltaNet(config, 0)

    def by_head(weight: Tensor, widths: tuple[int, ...]) -> Tensor:
        parts = [rows.unflatten(0, (layer.n_heads, -1)) for rows in weight.split(widths)]
        return torch.cat(parts, dim=1).flatten(0, 1)

    theirs.load_state_dict(
        {
            "in_proj_qkvz.weight": by_head(layer.qkvz.weight, layer.widths),
            "in_proj_ba.weight": by_head(layer.gates.weight, (layer.n_heads, layer.n_heads)),
            "conv1d.weight": layer.conv.unsqueeze(1),
            "A_log": layer.log_rate,
            "dt_bias": layer.dt_offset,
            "norm.weight": layer.gain,
            "out_proj.weight": layer.out.weight,
        }
    )
    return theirs.eval()


@pytest.mark.parametrize(
    "knobs", [{}, {"key_width": 1.0, "value_width": 2.0, "conv_width": 3}, {"value_width": 0.5, "conv_width": 1}]
)
def test_the_mixer_is_qwen3_next_s(knobs: dict[str, Any]) -> None:
    """Forwards and backwards, with weights copied over, and by steps against their whole."""
    model = deltanet(**knobs)
    layer = model.blocks[0].attention
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    x = torch.randn(2, DIMS.seq_len, DIMS.d_model, generator=generator, requires_grad=True)
    ours, expected = layer(x, context(model, DIMS.seq_len)), qwen(layer)(x)
    close(ours, expected)
    close(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, expected)))


@pytest.mark.parametrize("seq_len", [70, 128])
@torch.no_grad()
def test_prompts_of_several_chunks_and_steps_are_the_forward_pass(seq_len: int) -> None:
    """Chunks begin where a prompt does, wherever that is; rows of a batch begin at different positions."""
    dims = replace(TINY, seq_len=seq_len + 3)
    model, x = shaken(deltanet(dims)), tokens(3, dims)
    whole, lengths = model(x), [seq_len, 1, 65]
    state = model.new_state(3, seq_len + 3)
    read = model.step(x[:, :seq_len], state, torch.tensor(lengths))
    further = [model.step(x.gather(1, state.lengths[:, None] + torch.arange(width)), state) for width in (1, 2)]
    for row, length in enumerate(lengths):
        assert_same(read[row, :length], whole[row, :length])
        assert_same(torch.cat(further, dim=1)[row], whole[row, length : length + 3])


def test_its_state_is_as_large_for_any_length() -> None:
    """Of each layer the memories of all heads, and three positions of what is convolved."""
    model = deltanet()
    for length in (1, DIMS.seq_len):
        assert model.state_bytes(length) == 2 * 4 * (4 * 4 * 8 + 3 * (16 + 16 + 32))
    half = deltanet().to(torch.bfloat16)
    assert half.blocks[0].attention.new_state(1, 1).memory.dtype == torch.float32
    assert half(tokens(1)).dtype == torch.bfloat16
    assert half.state_bytes(1) == 2 * (4 * 4 * 4 * 8 + 2 * 3 * (16 + 16 + 32))


def test_its_matrices_are_as_large_as_those_of_dense_attention() -> None:
    """But for two small ones, from which each head reads how much it keeps and how far it corrects."""
    sizes = [
        sum(own.parameter.numel() for own in layer.parameters_by_role() if own.role is Role.MATRIX)
        for layer in (model.blocks[0].attention for model in (deltanet(), gpt(DIMS)))
    ]
    assert sizes[0] - sizes[1] == 2 * DIMS.n_heads * DIMS.d_model


def test_its_price_is_that_of_the_recurrence() -> None:
    """Counted on the recurrence; chunks multiply more, which is how and not what."""
    model, x = deltanet(TINY), tokens(2)
    state = model.new_state(2, TINY.seq_len)
    for at in range(TINY.seq_len):
        one = partial(model.step, x[:, at : at + 1], state)
        assert counted(one) == model.flops(Work("decode", 2, 1, at + 1)) == model.flops(Work("decode", 2, 1, 9999))
    assert model.flops_per_token() == 3 * model.flops(Work.decode(1))
    assert counted(lambda: model(x)) > model.flops(Work("train", 2, TINY.seq_len, TINY.seq_len))


def test_backwards_costs_twice_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the recurrence; torch's counter takes the gradient of a convolution by feature for that of a full one."""
    monkeypatch.setattr("algoprog.model.recurrence.gated_delta.chunked", recurrent)
    model, x = deltanet(TINY), tokens(2)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(model(x).flatten(0, 1), x.flatten()).backward()
    by_kind = {str(kind): flops for kind, flops in counter.get_flop_counts()["Global"].items()}
    by_kind["aten.convolution_backward"] = 2 * by_kind["aten.convolution"]
    assert sum(by_kind.values()) == model.flops_per_token() * x.numel()


def test_memories_begin_with_forgetting_over_magnitudes() -> None:
    dims = replace(TINY, d_model=512, n_heads=256)
    layer = deltanet(dims, key_width=1.0).blocks[0].attention
    rate, step = layer.log_rate.exp(), torch.nn.functional.softplus(layer.dt_offset)
    assert 0.01 <= rate.min() < 1 < 15 < rate.max() <= 16
    assert 1e-3 <= step.min() < 2e-3 < 5e-2 < step.max() <= 0.1
    assert layer.conv.abs().max() <= 0.5


@pytest.mark.parametrize("dims", [replace(TINY, d_model=3, n_heads=1), replace(TINY, d_model=15, n_heads=3)])
def test_odd_heads_and_a_single_token(dims: Dims) -> None:
    model = shaken(deltanet(dims))
    assert model(tokens(1, dims)[:, :1]).isfinite().all()
    assert_same(model(tokens(1, dims))[:, :1], model(tokens(1, dims)[:, :1]))


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"key_width": 0.01}, "mixer.key_width=0.01 leaves no feature of heads of width 8"),
        ({"value_width": 0.0}, "mixer.value_width=0.0 leaves no feature of heads of width 8"),
        ({"conv_width": 0}, "mixer.conv_width=0 must be at least 1"),
    ],
)
def test_refusals_name_the_knob(knobs: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        deltanet(**knobs)


def test_dropout_is_for_training_alone() -> None:
    model, x = deltanet(replace(TINY, dropout=0.5)), tokens(1)
    assert model(x).equal(model(x))
    layer, h = model.train().blocks[0].attention, torch.randn(1, TINY.seq_len, TINY.d_model)
    there = context(model, TINY.seq_len)
    assert not layer(h, there).equal(layer(h, there))


def test_bf16_stays_close_to_float32() -> None:
    model, x = deltanet(), tokens(2, DIMS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, state = model(x), model.new_state(2, DIMS.seq_len)
        read = torch.cat([model.step(x[:, :100], state), model.step(x[:, 100:], state)], dim=1)
    assert state.layers[0].memory.dtype == torch.float32
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
    torch.testing.assert_close(read.float(), model(x), atol=0.02, rtol=0.05)


@pytest.mark.parametrize(("n_layers", "every"), [(8, 4), (4, 2), (6, 3), (2, 4)])
def test_layers_of_a_hybrid_are_qwen3_next_s(n_layers: int, every: int) -> None:
    """With the last layer one of attention, of however few."""
    model = gpt(replace(DIMS, n_layers=n_layers), mixer=part("mixer", "hybrid", every=every))
    config = reference(f"{QWEN}.configuration_qwen3_next").Qwen3NextConfig(
        num_hidden_layers=n_layers, full_attention_interval=min(every, n_layers)
    )
    kinds = [
        "linear_attention" if isinstance(block.attention, GatedDelta) else "full_attention" for block in model.blocks
    ]
    assert kinds == config.layer_types


def test_a_hybrid_is_made_of_both() -> None:
    """Weights, FLOPs, states and axes are those of the layers that it mixes."""
    mixed, attending, recurrent = (gpt(DIMS, mixer=name) for name in ("hybrid", "attention", "gated_deltanet"))
    assert mixed.blocks[-1].attention.qkv.weight.equal(attending.blocks[-1].attention.qkv.weight)
    assert mixed.blocks[0].attention.qkvz.weight.equal(recurrent.blocks[0].attention.qkvz.weight)
    assert mixed.attention_density() == 1
    layers = [attending.blocks[-1].attention, *(block.attention for block in recurrent.blocks[:-1])]
    assert mixed.state_bytes(9) == sum(layer.state_bytes(9) for layer in layers)
    work = Work.training(DIMS.seq_len)
    assert sum(block.attention.flops(work) for block in mixed.blocks) == sum(layer.flops(work) for layer in layers)


@pytest.mark.parametrize(
    ("dims", "every", "word"), [(DIMS, 1, "every=1"), (replace(DIMS, n_layers=1), 4, "n_layers=1")]
)
def test_a_hybrid_of_attention_alone_is_refused(dims: Dims, every: int, word: str) -> None:
    with pytest.raises(ValueError, match=rf"mixer=hybrid.*{word}"):
        gpt(dims, mixer=part("mixer", "hybrid", every=every))
