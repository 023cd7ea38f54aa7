"""The LSTM against torch.nn.LSTM and against the equations, with its cost and its state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, layer_norm

from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.context import Context
from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Work
from tests.configs import TINY, assert_same, context, gpt, options, part, shaken, tokens
from tests.model.counting import counted

NORMS = ("ln", "rmsnorm")
PER_LAYER = 2 * 2 * 4 * TINY.d_model**2
"""FLOPs of a position: two for each weight of two matrices of four gates."""


def lstm(norm: str = "none", *, as_is: bool = False, **dims: Any) -> Backbone:
    model = gpt(replace(TINY, **dims), backbone="lstm", norm=norm)
    return model if as_is else shaken(model)


def by_torch(model: Backbone) -> nn.LSTM:
    """With the same weights, its two biases as one, and the forget bias in it."""
    width = TINY.d_model
    reference = nn.LSTM(width, width, num_layers=TINY.n_layers, batch_first=True).double()
    for number, layer in enumerate(model.layers):
        bias = torch.zeros(4 * width) if layer.bias is None else layer.bias.detach().clone()
        bias[width : 2 * width] += 1.0
        with torch.no_grad():
            getattr(reference, f"weight_ih_l{number}").copy_(layer.input)
            getattr(reference, f"weight_hh_l{number}").copy_(layer.recurrent)
            getattr(reference, f"bias_ih_l{number}").copy_(bias)
            getattr(reference, f"bias_hh_l{number}").zero_()
    return reference


@pytest.mark.parametrize("bias", [True, False])
def test_without_norms_it_is_torch_s_lstm(bias: bool) -> None:
    """Forwards and backwards, with weights copied over."""
    model, x = lstm(bias=bias), tokens(3)
    reference, table = by_torch(model), model.embedding.table.weight
    hidden, _ = reference(table[x])
    gain = model.final_norm
    logits = layer_norm(hidden, (TINY.d_model,), gain.gain, gain.bias, gain.eps) @ table.T
    assert_same(model(x), logits)
    losses = [cross_entropy(one.flatten(0, 1), x.flatten()) for one in (model(x), logits)]
    for number, layer in enumerate(model.layers):
        theirs = torch.autograd.grad(
            losses[1], [getattr(reference, f"weight_{name}_l{number}") for name in ("ih", "hh")], retain_graph=True
        )
        ours = torch.autograd.grad(losses[0], [layer.input, layer.recurrent], retain_graph=True)
        assert_same(ours, theirs)


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Layer normalisation or its root-mean-square form, written out."""
    if hasattr(norm, "bias"):
        x = x - x.mean(dim=-1, keepdim=True)
    x = norm.gain * x / (x.square().mean(dim=-1, keepdim=True) + norm.eps).sqrt()
    return x + norm.bias if getattr(norm, "bias", None) is not None else x


@pytest.mark.parametrize("norm", NORMS)
def test_with_norms_it_is_equations_20_to_22(norm: str) -> None:
    """(f, i, o, g) = LN(W_h h) + LN(W_x x) + b; c = s(f) c + s(i) tanh(g); h = s(o) tanh(LN(c)), row by row."""
    model, x = lstm(norm), tokens(2)
    for row in x:
        sequence = model.embedding.table.weight[row]
        for layer in model.layers:
            w_i, w_f, w_g, w_o = (slice(at * TINY.d_model, (at + 1) * TINY.d_model) for at in range(4))
            h = c = torch.zeros(TINY.d_model).double()
            given = []
            for inputs in sequence:
                gates = normed(layer.recurrent_norm, layer.recurrent @ h)
                gates = gates + normed(layer.input_norm, layer.input @ inputs) + layer.bias
                c = (gates[w_f] + 1).sigmoid() * c + gates[w_i].sigmoid() * gates[w_g].tanh()
                h = gates[w_o].sigmoid() * normed(layer.cell_norm, c).tanh()
                given.append(h)
            sequence = torch.stack(given)
        assert_same(
            model(row[None])[0], normed(model.final_norm, sequence).detach() @ model.embedding.table.weight.detach().T
        )


@pytest.mark.parametrize("norm", options("norm"))
def test_prompts_of_unequal_length_and_steps_are_the_forward_pass(norm: str) -> None:
    model, x = lstm(norm), tokens(3)
    whole = model(x).detach()
    state, prompt, lengths = model.new_state(3, TINY.seq_len), x[:, :6].clone(), torch.tensor([6, 1, 4])
    prompt[torch.arange(6) >= lengths[:, None]] = 0
    with torch.no_grad():
        logits = model.step(prompt, state, lengths)
        for row, length in enumerate(lengths.tolist()):
            assert_same(logits[row, :length], whole[row, :length])
        for width in (1, 3, 2):
            at = state.lengths[:, None] + torch.arange(width)
            assert_same(model.step(x.gather(1, at), state), whole[torch.arange(3)[:, None], at])


@pytest.mark.parametrize("norm", options("norm"))
def test_its_state_is_as_large_for_any_length(norm: str) -> None:
    model = lstm(norm, as_is=True)
    for capacity in (1, TINY.seq_len):
        state = model.new_state(1, capacity)
        held = sum(layer.hidden.nbytes + layer.cell.nbytes for layer in state.layers)
        assert model.state_bytes(capacity) == held == TINY.n_layers * 2 * TINY.d_model * 4
    assert model.facts()["state_bytes"] == held


@pytest.mark.parametrize("norm", options("norm"))
def test_closed_form_is_that_of_first_principles(norm: str) -> None:
    model = lstm(norm, as_is=True)
    position = TINY.n_layers * PER_LAYER + 2 * TINY.vocab_size * TINY.d_model
    assert model.flops_per_token() == 3 * position
    for work in (Work.training(7), Work.prefill(7), Work.decode(900)):
        assert model.flops(work) == position * work.tokens
    assert model.attention_density() is None


@pytest.mark.parametrize("norm", NORMS)
def test_closed_form_is_what_is_counted(norm: str) -> None:
    """Backwards less one product a sequence and layer: no gradient goes on to the zeros that it begins from."""
    model, x = lstm(norm, as_is=True), tokens(2)
    assert counted(lambda: model(x)) == model.flops_per_token() / 3 * x.numel()
    backward = counted(lambda: cross_entropy(model(x).flatten(0, 1), x.flatten()).backward())
    to_nothing = len(x) * TINY.n_layers * PER_LAYER / 2
    assert backward == model.flops_per_token() * x.numel() - to_nothing


def test_the_fused_kernel_is_charged_what_the_loop_multiplies() -> None:
    """The counter cannot look into it in float32; in float64, where torch takes it apart, it can."""
    blind, seen, x = lstm(as_is=True), lstm(), tokens(2)
    work = Work("prefill", 2, TINY.seq_len, TINY.seq_len)
    assert counted(lambda: blind(x)) <= counted(lambda: seen(x)) == seen.flops(work)
    assert counted(lambda: seen.step(x, seen.new_state(2, TINY.seq_len))) == seen.flops(work)


def test_cells_remember_at_first() -> None:
    """The forget bias is a constant of the gate, with biases or without; the weights are of nn.LSTM's size."""
    for bias in (True, False):
        layer = lstm(as_is=True, bias=bias).layers[0]
        assert layer._constant.view(4, -1).tolist() == [[float(gate == 1)] * TINY.d_model for gate in range(4)]
    weights = torch.cat((layer.input, layer.recurrent)).detach()
    assert 0.95 < weights.abs().max() * TINY.d_model**0.5 < 1
    assert weights.std() * TINY.d_model**0.5 == pytest.approx(3**-0.5, rel=0.05)
    assert not layer.input.equal(layer.recurrent)
    assert gpt(backbone=part("backbone", "lstm", forget_bias=0.0)).layers[0].offset.abs().sum() == 0


@pytest.mark.parametrize("norm", ["none", "ln"])
def test_dropout_is_for_training_and_spares_the_recurrence(norm: str) -> None:
    model, x = lstm(norm, as_is=True, dropout=0.5), tokens(1)
    assert model(x).equal(model(x))
    layer, h = model.train().layers[0], torch.randn(1, 5, TINY.d_model)
    assert not model(x).equal(model(x))
    kept, other = (layer(h, Context(FromTheStart(5), Reports(), {})) for _ in range(2))
    both = (kept != 0) & (other != 0)
    assert both.any()
    assert kept[both].equal(other[both]), "what is carried on is never dropped"


@pytest.mark.parametrize("norm", ["none", "ln"])
def test_bf16_stays_close_to_float32(norm: str) -> None:
    model, x = lstm(norm, as_is=True), tokens(2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = model(x)
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)


MIXED = replace(TINY, d_model=24, n_heads=4)


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_the_mixer_is_torch_s_lstm_with_a_matrix_behind(width: float) -> None:
    """In values and gradients, and by steps."""
    model = shaken(gpt(MIXED, mixer=part("mixer", "lstm", width=width)))
    own, units = model.blocks[0].attention, round(24 * width)
    theirs = torch.nn.LSTM(24, units, batch_first=True).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(own.cell.input)
        theirs.weight_hh_l0.copy_(own.cell.recurrent)
        theirs.bias_ih_l0.copy_(own.cell.bias + own.cell.offset)
        theirs.bias_hh_l0.zero_()
    x = torch.randn(2, 7, 24, dtype=torch.float64, requires_grad=True)
    ours, expected = own(x, context(model, 7)), own.out(theirs(x)[0])
    assert_same(ours, expected)
    assert_same(*(torch.autograd.grad(y.square().sum(), x, retain_graph=True)[0] for y in (ours, expected)))


def test_what_the_mixer_costs() -> None:
    """The closed form against the loop over positions, whose products the counter sees."""
    model = gpt(MIXED, mixer="lstm")
    own, x = model.blocks[0].attention, torch.randn(1, 7, 24)
    units = 12
    cost = own.flops(Work.training(7)) + own.cell.flops(Work.training(7))
    assert cost == 2 * 7 * (4 * units * (24 + units) + units * 24)
    own.cell.is_fused = False
    assert counted(lambda: own(x, context(model, 7))) == cost
    assert model.state_bytes(5) == model.state_bytes(500) == TINY.n_layers * 2 * units * 4


@pytest.mark.parametrize("width", [0.001, 1.5])
def test_impossible_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match=rf"mixer=lstm: mixer\.width={width}"):
        gpt(mixer=part("mixer", "lstm", width=width))
