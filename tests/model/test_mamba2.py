"""The state space and the mixer around it against transformers' (5.24) Mamba-2, with its cost and its state."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus
from torch.utils.flop_counter import FlopCounterMode

from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.site import Work
from algoprog.model.mixer.mamba2 import Mamba2
from algoprog.model.recurrence import state_space
from algoprog.model.recurrence.mamba import StateSpaceMixer
from algoprog.model.recurrence.state_space import CHUNK, chunked, recurrent
from tests.configs import TINY, assert_same, context, gpt, part, shaken, tokens
from tests.model.counting import counted
from tests.model.test_gated_deltanet import close
from tests.model.test_steps import by_steps
from tests.reference import reference

DIMS = Dims(d_model=32, n_layers=2, n_heads=4, seq_len=150, vocab_size=32, dropout=0.0, bias=True)
THEIRS = "transformers.models.mamba2"


def mamba(dims: Dims = DIMS, **knobs: Any) -> Backbone:
    return gpt(dims, mixer=part("mixer", "mamba2", **knobs))


def inputs(seq_len: int, *, decay: float = 1.0, shared: int = 1) -> list[Tensor]:
    """Queries, keys, values, logarithms of what is kept, and a memory of two sequences and three heads."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seq_len), dtype=torch.float64)
    q, k, v = draw(2, shared, seq_len, 5), draw(2, shared, seq_len, 5), draw(2, 3, seq_len, 7)
    return [q, k, v, -decay * draw(2, 3, seq_len).exp(), draw(2, 3, 5, 7)]


@pytest.mark.parametrize("seq_len", [1, CHUNK - 1, CHUNK, 150])
@pytest.mark.parametrize("decay", [1e-4, 1.0, 50.0])
def test_chunks_give_what_the_recurrence_gives(seq_len: int, decay: float) -> None:
    """Outputs, memory and gradients, for memories that keep nearly all and that keep nearly nothing."""
    given = [each.requires_grad_() for each in inputs(seq_len, decay=decay, shared=3 if decay == 1 else 1)]
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
    monkeypatch.setattr(state_space, "CHUNK", size)
    assert_same(chunked(*given), expected)


def test_a_position_that_keeps_all_and_adds_nothing_leaves_the_memory() -> None:
    q, k, v, log_kept, memory = inputs(70)
    log_kept[:, :, 40:], v[:, :, 40:] = 0, 0
    for rule in (chunked, recurrent):
        _, after = rule(q, k, v, log_kept, memory)
        assert_same(after, rule(*(x[:, :, :40] for x in (q, k, v, log_kept)), memory)[1])


def theirs(layer: Mamba2) -> torch.nn.Module:
    """Their mixer with the weights of ours, which lie as they do with them."""
    config = reference(f"{THEIRS}.configuration_mamba2").Mamba2Config(
        hidden_size=DIMS.d_model,
        num_hidden_layers=1,
        num_heads=layer.n_heads,
        head_dim=layer.widths[0] // layer.n_heads,
        state_size=layer.d_state,
        expand=layer.widths[0] // DIMS.d_model,
        conv_kernel=layer.conv.shape[1],
        n_groups=1,
        use_bias=DIMS.bias,
        chunk_size=16,
    )
    mixer = reference(f"{THEIRS}.modeling_mamba2").Mamba2Mixer(config, 0)
    mixer.load_state_dict(
        {
            "in_proj.weight": layer.inputs.weight,
            "in_proj.bias": layer.inputs.bias,
            "conv1d.weight": layer.conv.unsqueeze(1),
            "conv1d.bias": layer.conv_bias,
            "A_log": layer.log_rate,
            "dt_bias": layer.dt_offset,
            "D": layer.direct,
            "norm.weight": layer.gain,
            "out_proj.weight": layer.out.weight,
            "out_proj.bias": layer.out.bias,
        }
    )
    return mixer.eval()


@pytest.mark.parametrize(
    "knobs",
    [{}, {"expand": 2.0, "heads": 2.0, "state_width": 2.0}, {"heads": 0.25, "state_width": 0.5, "conv_width": 1}],
)
def test_the_mixer_is_mamba_2_s(knobs: dict[str, Any]) -> None:
    """Forwards and backwards, with weights copied over."""
    model = mamba(**knobs)
    layer = model.blocks[0].attention
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    x = torch.randn(2, DIMS.seq_len, DIMS.d_model, generator=generator, requires_grad=True)
    ours, expected = layer(x, context(model, DIMS.seq_len)), theirs(layer)(x)
    close(ours, expected)
    close(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, expected)))


def test_a_step_is_mamba_2_s() -> None:
    """One position of their recurrence, which takes steps and rates where ours takes what is kept."""
    q, k, v, log_kept, memory = (each.float() for each in inputs(1))
    step, rate = torch.rand(2, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([-1.0, -3.0, -9.0])
    log_kept = (step * rate).unsqueeze(-1)
    held = memory.transpose(-1, -2).contiguous()
    expected = reference(f"{THEIRS}.modeling_mamba2").mamba2_selective_state_update(
        held,
        v[:, :, 0],
        step[..., None].expand(-1, -1, 7),
        rate[:, None, None].expand(-1, 7, 5),
        k[:, 0],
        q[:, 0],
    )
    given, after = recurrent(q, k, v * step[..., None, None], log_kept, memory)
    close(given[:, :, 0], expected)
    close(after.transpose(-1, -2), held)


@torch.no_grad()
def test_prompts_of_several_chunks_and_steps_are_the_forward_pass() -> None:
    """Chunks begin where a prompt does, wherever that is; rows of a batch begin at different positions."""
    dims = replace(TINY, seq_len=73)
    model, x = shaken(mamba(dims)), tokens(3, dims)
    whole, lengths = model(x), [70, 1, 65]
    state = model.new_state(3, 73)
    read = model.step(x[:, :70], state, torch.tensor(lengths))
    further = [model.step(x.gather(1, state.lengths[:, None] + torch.arange(width)), state) for width in (1, 2)]
    for row, length in enumerate(lengths):
        assert_same(read[row, :length], whole[row, :length])
        assert_same(torch.cat(further, dim=1)[row], whole[row, length : length + 3])


def test_its_state_is_as_large_for_any_length() -> None:
    """Of each layer a state of every feature in float32, and three positions of what is convolved."""
    model = mamba()
    for length in (1, DIMS.seq_len):
        assert model.state_bytes(length) == 2 * 4 * (32 * 8 + 3 * (32 + 8 + 8))
    half = mamba().to(torch.bfloat16)
    assert half.blocks[0].attention.new_state(1, 1).memory.dtype == torch.float32
    assert half(tokens(1)).dtype == torch.bfloat16
    assert half.state_bytes(1) == 2 * (4 * 32 * 8 + 2 * 3 * (32 + 8 + 8))


def test_its_price_is_that_of_the_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted on the recurrence, backwards too; chunks multiply more, which is how and not what."""
    model, x = mamba(TINY), tokens(2)
    state = model.new_state(2, TINY.seq_len)
    for at in range(3):
        one = partial(model.step, x[:, at : at + 1], state)
        assert counted(one) == model.flops(Work("decode", 2, 1, at + 1)) == model.flops(Work("decode", 2, 1, 9999))
    assert model.flops_per_token() == 3 * model.flops(Work.decode(1))
    monkeypatch.setattr("algoprog.model.recurrence.mamba.chunked", recurrent)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(model(x).flatten(0, 1), x.flatten()).backward()
    by_kind = {str(kind): flops for kind, flops in counter.get_flop_counts()["Global"].items()}
    by_kind["aten.convolution_backward"] = 2 * by_kind["aten.convolution"]  # the counter takes it for a full one
    assert sum(by_kind.values()) == model.flops_per_token() * x.numel()


def test_memories_begin_with_forgetting_over_magnitudes() -> None:
    layer = mamba(replace(TINY, d_model=512, n_heads=256)).blocks[0].attention
    rate, step = layer.log_rate.exp(), softplus(layer.dt_offset)
    assert 1 <= rate.min() < 2 < 15 < rate.max() <= 16
    assert 1e-3 <= step.min() < 2e-3 < 5e-2 < step.max() <= 0.1
    assert layer.direct.equal(torch.ones(256))


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"expand": 0.001}, "mixer=mamba2: mixer.expand=0.001 leaves no feature"),
        ({"state_width": 0.0}, "mixer.state_width=0.0 leaves no entry"),
        ({"heads": 0.1}, "mixer.heads=0.1 leaves no head"),
        ({"heads": 0.75}, "mixer.heads=0.75 makes 3 heads, which do not divide the 32 features of mixer.expand=1.0"),
        ({"conv_width": 0}, "mixer.conv_width=0 must be at least 1"),
    ],
)
def test_refusals_name_the_knob(knobs: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        mamba(**knobs)


def test_dropout_is_for_training_alone() -> None:
    model, x = mamba(replace(TINY, dropout=0.5)), tokens(1)
    assert model(x).equal(model(x))
    layer, h = model.train().blocks[0].attention, torch.randn(1, TINY.seq_len, TINY.d_model)
    there = context(model, TINY.seq_len)
    assert not layer(h, there).equal(layer(h, there))


def test_bf16_stays_close_to_float32() -> None:
    model, x = mamba(), tokens(2, DIMS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, state = model(x), model.new_state(2, DIMS.seq_len)
        read = torch.cat([model.step(x[:, :100], state), model.step(x[:, 100:], state)], dim=1)
    assert state.layers[0].memory.dtype == torch.float32
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
    torch.testing.assert_close(read.float(), model(x), atol=0.02, rtol=0.05)


@torch.no_grad()
def test_layers_of_a_hybrid_are_those_of_the_mixer() -> None:
    """At the same widths: keys are the entries of a state, values the heads; attention as beside another recurrence."""
    dims = replace(TINY, n_layers=4)
    knobs = {"every": 2, "key_width": 0.5, "value_width": 2.0, "conv_width": 3}
    model = gpt(dims, mixer=part("mixer", "hybrid", recurrent="mamba2", **knobs))
    alone = mamba(dims, state_width=0.5, expand=2.0, conv_width=3)
    other = gpt(dims, mixer=part("mixer", "hybrid", **knobs))
    for layer, (block, own, beside) in enumerate(zip(model.blocks, alone.blocks, other.blocks, strict=True)):
        expected = beside.attention if layer % 2 else own.attention
        assert type(block.attention) is (type(expected) if layer % 2 else StateSpaceMixer)
        for one, same in zip(block.attention.parameters(), expected.parameters(), strict=True):
            assert one.equal(same)
    shaken(model)
    assert_same(by_steps(model, tokens(2), (1, 2, 9)), model(tokens(2)))


@pytest.mark.parametrize("recurrent", ["lstm", "rwkv7"])
def test_a_hybrid_of_another_recurrence_is_refused(recurrent: str) -> None:
    with pytest.raises(ValueError, match=rf"mixer=hybrid: mixer\.recurrent={recurrent} must be gated_deltanet or"):
        gpt(mixer=part("mixer", "hybrid", recurrent=recurrent))
