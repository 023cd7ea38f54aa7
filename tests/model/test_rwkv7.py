"""RWKV-7 against the paper's recursion in numpy, its core against fla-core (0.6.0), its cost and its state."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.site import Work
from algoprog.model.mixer.rwkv7 import FORGET, Rwkv7
from algoprog.model.recurrence import diagonal_rule
from algoprog.model.recurrence.delta_rule import recurrent as delta_rule
from algoprog.model.recurrence.diagonal_rule import CHUNK, chunked, recurrent
from tests.configs import TINY, assert_same, context, gpt, part, shaken, tokens
from tests.model.counting import counted
from tests.model.test_gated_deltanet import close
from tests.reference import fla

DIMS = Dims(d_model=32, n_layers=3, n_heads=4, seq_len=150, vocab_size=32, dropout=0.0, bias=True)


def rwkv(dims: Dims = DIMS, **knobs: Any) -> Backbone:
    return gpt(dims, mixer=part("mixer", "rwkv7", **knobs))


def inputs(seq_len: int, *, decay: float = FORGET) -> list[Tensor]:
    """Of two sequences and three heads: queries, keys, values, from where and to where is moved, what is kept, memory.

    Decays are those that RWKV-7 can have: at most e^-.61 a position.
    """
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(seq_len), dtype=torch.float64)
    q, k, v, removed = draw(2, 3, seq_len, 5), draw(2, 3, seq_len, 5), draw(2, 3, seq_len, 7), draw(2, 3, seq_len, 5)
    removed = normalize(removed, dim=-1)
    b = removed * draw(2, 3, seq_len, 5).sigmoid()
    return [q, k, v, -removed, b, -decay * draw(2, 3, seq_len, 5).sigmoid(), draw(2, 3, 5, 7)]


@pytest.mark.parametrize("seq_len", [1, CHUNK - 1, CHUNK, 150])
@pytest.mark.parametrize("decay", [1e-4, FORGET])
def test_chunks_give_what_the_recurrence_gives(seq_len: int, decay: float) -> None:
    """Outputs, memory and gradients, for memories that keep nearly all and that forget as fast as they can."""
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
    monkeypatch.setattr(diagonal_rule, "CHUNK", size)
    assert_same(chunked(*given), expected)


def test_chunks_are_exact_in_float32_however_much_is_forgotten() -> None:
    """What a chunk divides by is e^-20 at the most; gradients through it are finite, too."""
    given = inputs(2 * CHUNK)
    given[5].fill_(-FORGET)
    rounded = [each.float().requires_grad_() for each in given]
    for ours, exact in zip(chunked(*rounded), recurrent(*given), strict=True):
        close(ours, exact.float())
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(chunked(*rounded)[0].sum(), rounded))


def test_a_position_that_keeps_all_moves_nothing_and_adds_nothing_leaves_the_memory() -> None:
    given = inputs(70)
    for at in (1, 4, 5):
        given[at][:, :, 40:] = 0
    for rule in (chunked, recurrent):
        assert_same(rule(*given)[1], rule(*(x[:, :, :40] for x in given[:-1]), given[-1])[1])


def test_the_delta_rule_is_a_case_of_it() -> None:
    """What is moved away from a key is what is recalled for it, times the strength, and none is forgotten."""
    q, k, v, _, _, _, memory = inputs(20)
    k, strength = normalize(k, dim=-1), torch.rand(2, 3, 20, dtype=torch.float64)
    kept, b = torch.zeros_like(strength), k * strength[..., None]
    ours = recurrent(q, b, v, -k, b, torch.zeros_like(k), memory)
    assert_same(ours, delta_rule(q, k, v, kept, strength, memory))


@pytest.mark.parametrize("rule", [chunked, recurrent])
@pytest.mark.parametrize("seq_len", [1, 63, 150])
def test_the_rule_is_that_of_flash_linear_attention(rule: Any, seq_len: int) -> None:
    """In float32, which theirs computes in; they scale queries inside."""
    q, k, v, a, b, log_kept, memory = (each.float() for each in inputs(seq_len))
    theirs = fla("ops/generalized_delta_rule/dplr/naive.py").dplr_recurrence
    expected = theirs(q * math.sqrt(5), k, v, a, b, log_kept, initial_state=memory)
    for ours, other in zip(rule(q, k, v, a, b, log_kept, memory), expected, strict=True):
        close(ours, other)


def by_the_paper(layer: Rwkv7, x: np.ndarray, first: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """What the time mix gives for one sequence, and its values: section 4 of the paper, position by position.

    As the paper has it, vectors are rows, and a head's state is d_value x d_key.
    """
    own = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    heads, width = layer.n_heads, layer.d_head
    state = np.zeros((heads, width, width))
    given, values, last = [], [], np.zeros(x.shape[1])

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    def lora(name: str, z: np.ndarray, act: Any) -> np.ndarray:
        return act(z @ own[f"{name}.down"].T) @ own[f"{name}.up"].T + own.get(f"{name}.offset", 0)

    for now in x:
        x_r, x_d, x_k, x_v, x_a, x_g = (now + (last - now) * mu for mu in own["shifts"])
        r, k, v = (z @ own[f"{name}.weight"].T for name, z in (("q", x_r), ("k", x_k), ("v", x_v)))
        a, g = sigmoid(lora("rate", x_a, lambda z: z)), lora("gate", x_g, sigmoid)
        w = np.exp(-np.exp(-0.5) * sigmoid(lora("decay", x_d, np.tanh)))
        if first is not None:
            v = v + (first[len(values)] - v) * sigmoid(lora("first", x_v, lambda z: z))
        values.append(v)
        kappa = (k * own["removed"]).reshape(heads, width)
        kappa = kappa / np.linalg.norm(kappa, axis=1, keepdims=True)
        k = (k * (1 + (a - 1) * own["replaced"])).reshape(heads, width)
        r, w, a, v = (z.reshape(heads, width) for z in (r, w, a, v))
        mixed = []
        for h in range(heads):
            state[h] = state[h] @ (np.diag(w[h]) - np.outer(kappa[h], a[h] * kappa[h])) + np.outer(v[h], k[h])
            p = state[h] @ r[h]
            p = (p - p.mean()) / np.sqrt(p.var() + width * 1e-5)
            rows = slice(h * width, (h + 1) * width)
            p = p * own["gain"][rows] + (own["bias"][rows] if "bias" in own else 0)
            mixed.append(p + (r[h] * own["bonus"][rows] * k[h]).sum() * v[h])
        given.append((g * np.concatenate(mixed)) @ own["out.weight"].T)
        last = now
    return np.stack(given), np.stack(values)


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_the_mixer_is_that_of_the_paper(bias: bool) -> None:
    """In float64: of the first layer, and of another with the first's values."""
    model = shaken(rwkv(replace(DIMS, bias=bias, seq_len=20)))
    there = context(model, 20)
    values = None
    for block in model.blocks[:2]:
        x = torch.randn(1, 20, DIMS.d_model, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        expected, own = by_the_paper(block.attention, x[0].numpy(), values)
        values = own if values is None else values
        assert_same(block.attention(x, there)[0], torch.from_numpy(expected))


@torch.no_grad()
def test_prompts_of_several_chunks_and_steps_are_the_forward_pass() -> None:
    """Chunks begin where a prompt does, wherever that is; rows of a batch begin at different positions."""
    dims = replace(TINY, seq_len=73)
    model, x = shaken(rwkv(dims)), tokens(3, dims)
    whole, lengths = model(x), [70, 1, 65]
    state = model.new_state(3, 73)
    read = model.step(x[:, :70], state, torch.tensor(lengths))
    further = [model.step(x.gather(1, state.lengths[:, None] + torch.arange(width)), state) for width in (1, 2)]
    for row, length in enumerate(lengths):
        assert_same(read[row, :length], whole[row, :length])
        assert_same(torch.cat(further, dim=1)[row], whole[row, length : length + 3])


def test_its_state_is_as_large_for_any_length() -> None:
    """Of each layer a memory of every head in float32, and the last input."""
    model = rwkv()
    for length in (1, DIMS.seq_len):
        assert model.state_bytes(length) == 3 * 4 * (4 * 8 * 8 + 32)
    half = rwkv().to(torch.bfloat16)
    assert half.blocks[0].attention.new_state(1, 1).memory.dtype == torch.float32
    assert half(tokens(1)).dtype == torch.bfloat16
    assert half.state_bytes(1) == 3 * (4 * 4 * 8 * 8 + 2 * 32)


def test_its_price_is_that_of_the_recurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted on the recurrence, backwards too; chunks multiply more, which is how and not what.

    Backwards less what the first position of a sequence has not: no gradient goes on to the zeros that it begins from.
    """
    model, x = rwkv(TINY), tokens(2)
    state = model.new_state(2, TINY.seq_len)
    for at in range(3):
        one = partial(model.step, x[:, at : at + 1], state)
        assert counted(one) == model.flops(Work("decode", 2, 1, at + 1)) == model.flops(Work("decode", 2, 1, 9999))
    assert model.flops_per_token() == 3 * model.flops(Work.decode(1))
    monkeypatch.setattr("algoprog.model.mixer.rwkv7.chunked", recurrent)
    backward = counted(lambda: cross_entropy(model(x).flatten(0, 1), x.flatten()).backward())
    recalled = 2 * TINY.d_model * TINY.d_head * TINY.n_layers * len(x)
    assert backward == model.flops_per_token() * x.numel() - recalled


def test_its_first_values_are_those_of_the_authors_code() -> None:
    """At width 64 with two heads in the second of three layers, by their formulas."""
    layer = rwkv(replace(DIMS, d_model=64, n_heads=2)).blocks[1].attention
    n = torch.arange(64)
    zigzag = (n % 32 - 15.5) / 15.5
    zigzag = zigzag * zigzag.abs()
    torch.testing.assert_close(layer.shifts[3], 1 - (n / 64) ** (0.7 * (1 - 1 / 3)))
    decay = -6 + 6 * (n / 63) ** (1 + 0.5**0.3) + 0.5 + 2.5 * zigzag
    torch.testing.assert_close(layer.decay.offset, decay)
    torch.testing.assert_close(layer.rate.offset, -0.19 + zigzag * 0.3 + (n / 63 - 0.5) * 0.4)
    torch.testing.assert_close(layer.first.offset, 0.73 - (n / 63 - 0.5) * 0.4)
    torch.testing.assert_close(layer.removed, 0.71 - (n / 63 - 0.5) * 0.1)
    assert {len(each.down) for each in (layer.decay, layer.rate)} == {4}
    assert (len(layer.first.down), len(layer.gate.down)) == (2, 8)


@pytest.mark.parametrize(
    "dims", [replace(TINY, d_model=3, n_heads=3), replace(TINY, d_model=15, n_heads=3, n_layers=1)]
)
def test_heads_of_one_feature_and_a_single_layer(dims: Dims) -> None:
    model = shaken(rwkv(dims))
    assert model(tokens(1, dims)[:, :1]).isfinite().all()
    assert_same(model(tokens(1, dims))[:, :1], model(tokens(1, dims)[:, :1]))


@pytest.mark.parametrize("knob", ["decay_rank", "rate_rank", "value_rank", "gate_rank"])
@pytest.mark.parametrize("share", [0.0, 1.5])
def test_refusals_name_the_knob(knob: str, share: float) -> None:
    with pytest.raises(ValueError, match=f"mixer=rwkv7: mixer.{knob}={share} must be above 0 and at most 1"):
        rwkv(**{knob: share})


def test_dropout_is_for_training_alone() -> None:
    model, x = rwkv(replace(TINY, dropout=0.5)), tokens(1)
    assert model(x).equal(model(x))
    layer, h = model.train().blocks[0].attention, torch.randn(1, TINY.seq_len, TINY.d_model)
    there = context(model, TINY.seq_len)
    assert not layer(h, there).equal(layer(h, there))


def test_bf16_stays_close_to_float32() -> None:
    model, x = rwkv(), tokens(2, DIMS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, state = model(x), model.new_state(2, DIMS.seq_len)
        read = torch.cat([model.step(x[:, :100], state), model.step(x[:, 100:], state)], dim=1)
    assert state.layers[0].memory.dtype == torch.float32
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
    torch.testing.assert_close(read.float(), model(x), atol=0.02, rtol=0.05)
