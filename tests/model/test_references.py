"""Options held against implementations that no one here wrote, with copied weights, or their paper's formula."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from algoprog import build
from algoprog.model.interface.roles import Declared, Role
from tests.configs import SITE, TINY, context, gpt, part, shaken, tokens
from tests.reference import reference

X = torch.randn(2, 5, TINY.d_model, generator=torch.Generator().manual_seed(1))


def option(axis: str, name: str) -> Any:
    """The option, every parameter drawn so that it matters."""
    own = build.construct({axis: part(axis, name)}, axis)(SITE)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return own


def nemotron(config: SimpleNamespace) -> nn.Module:
    return reference("transformers.models.nemotron.modeling_nemotron").NemotronMLP(config)


def llama(config: SimpleNamespace) -> nn.Module:
    return reference("transformers.models.llama.modeling_llama").LlamaMLP(config)


@pytest.mark.parametrize(
    ("name", "made", "activation"),
    [
        ("relu", nemotron, "relu"),
        ("relu2", nemotron, "relu2"),
        ("gelu", nemotron, "gelu"),
        ("swiglu", llama, "silu"),
        ("geglu", llama, "gelu"),
    ],
)
def test_mlps_equal_those_of_transformers(name: str, made: Any, activation: str) -> None:
    own = option("mlp", name)
    sizes = {"hidden_size": TINY.d_model, "intermediate_size": own.up.out_features}
    theirs = made(SimpleNamespace(**sizes, hidden_act=activation, mlp_bias=True))
    for linear in (*own.inputs, "down"):
        layer = getattr(theirs, f"{linear}_proj")
        layer.weight, layer.bias = getattr(own, linear).weight, nn.Parameter(getattr(own, linear).bias)
    torch.testing.assert_close(own(X, context(gpt(), 5)), theirs(X), rtol=1e-5, atol=1e-6)


def test_the_reordered_block_is_wired_like_olmo_2() -> None:
    """Their layer, with our norms, attention and MLP in the places of theirs."""
    model = shaken(gpt(block="reordered", norm="rmsnorm"))
    own, called = model.blocks[0], context(model, TINY.seq_len)
    config = reference("transformers.models.olmo2.configuration_olmo2").Olmo2Config(
        hidden_size=TINY.d_model, num_attention_heads=TINY.n_heads, num_key_value_heads=TINY.n_heads, vocab_size=32
    )
    theirs = reference("transformers.models.olmo2.modeling_olmo2").Olmo2DecoderLayer(config, 0)
    theirs.post_attention_layernorm, theirs.post_feedforward_layernorm = own.attention_norm, own.mlp_norm
    theirs.self_attn, theirs.mlp = _Called(own.attention, called, pair=True), _Called(own.mlp, called)
    x = model.embedding.table(tokens(2))
    torch.testing.assert_close(own(x, called), theirs(x))


class _Called(nn.Module):
    """A part of ours under the arguments of theirs."""

    def __init__(self, own: nn.Module, called: Any, *, pair: bool = False) -> None:
        super().__init__()
        self.own, self.called, self.pair = own, called, pair

    def forward(self, x: Tensor | None = None, hidden_states: Tensor | None = None, **_: Any) -> Any:
        y = self.own(hidden_states if x is None else x, self.called)
        return (y, None) if self.pair else y


def test_scalenorm_is_its_formula() -> None:
    """Nguyen and Salazar 2019, equation 5: g x / |x|."""
    own, x = option("norm", "scalenorm"), X.numpy()
    expected = own.length.item() * x / np.sqrt((x**2).sum(-1, keepdims=True))
    np.testing.assert_allclose(own(X).detach().numpy(), expected, rtol=1e-5)


def test_scalenorm_begins_as_rmsnorm() -> None:
    own, other = (build.construct({"norm": part("norm", name)}, "norm")(SITE) for name in ("scalenorm", "rmsnorm"))
    torch.testing.assert_close(own(X), other(X), rtol=1e-4, atol=1e-5)


def test_dyt_is_its_formula() -> None:
    """Zhu et al. 2025, algorithm 1."""
    own, x = option("norm", "dyt"), X.numpy()
    alpha, gain, bias = (p.detach().numpy() for p in (own.alpha, own.gain, own.bias))
    np.testing.assert_allclose(own(X).detach().numpy(), gain * np.tanh(alpha * x) + bias, rtol=1e-5, atol=1e-6)


def test_lion_is_its_algorithm() -> None:
    """Chen et al. 2023, algorithm 2, in numpy: twenty steps on a quadratic."""
    lr, (b1, b2), decay = 0.01, (0.9, 0.99), 0.5
    weight = nn.Parameter(torch.linspace(-2, 3, 12).reshape(3, 4))
    recipe = build.construct({"optim": {**part_of("lion"), "lr": lr, "weight_decay": decay}}, "optim")
    optimizer = recipe([declared(weight, decayed=True)])
    theta, m = weight.detach().numpy().astype(np.float64).copy(), np.zeros((3, 4))
    target = np.arange(12).reshape(3, 4) / 7 - 0.6
    for _ in range(20):
        optimizer.zero_grad()
        (0.5 * (weight - torch.from_numpy(target).float()).square().sum()).backward()
        optimizer.step()
        g = theta - target
        theta = theta - lr * (np.sign(b1 * m + (1 - b1) * g) + decay * theta)
        m = b2 * m + (1 - b2) * g
    np.testing.assert_allclose(weight.detach().numpy(), theta, rtol=1e-5, atol=1e-6)


def part_of(name: str) -> dict[str, Any]:
    return part("optim", name)


def declared(parameter: nn.Parameter, *, decayed: bool) -> Declared:
    return Declared(parameter, Role.MATRIX, decayed=decayed, active=1.0, rows=(len(parameter),))


@pytest.mark.parametrize(
    ("name", "made", "knobs"),
    [
        ("adam", torch.optim.Adam, {"betas": (0.9, 0.95), "eps": 1e-8}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_what_torch_has_is_what_torch_does(name: str, made: Any, knobs: dict[str, Any]) -> None:
    """Twenty steps of two matrices, of which one decays."""
    pairs = [[nn.Parameter(torch.linspace(-1, 2, 6).reshape(2, 3) + k) for _ in range(2)] for k in range(2)]
    recipe = build.construct({"optim": {**part_of(name), "lr": 0.01, "weight_decay": 0.1}}, "optim")
    own = recipe([declared(pairs[0][0], decayed=True), declared(pairs[1][0], decayed=False)])
    decayed, rest = {"params": [pairs[0][1]], "weight_decay": 0.1}, {"params": [pairs[1][1]], "weight_decay": 0.0}
    theirs = made([decayed, rest], lr=0.01, **knobs)
    for _ in range(20):
        for optimizer, index in ((own, 0), (theirs, 1)):
            optimizer.zero_grad()
            sum((pair[index] ** 2).sum() for pair in pairs).backward()
            optimizer.step()
    for ours, other in pairs:
        torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-7)
