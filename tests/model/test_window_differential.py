"""Windowed and differential attention against transformers (5.24), with copied weights, and what they hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from algoprog.model.dims import Dims
from algoprog.model.heads import HeadsAttention
from tests.configs import assert_same, context, gpt, options, part, shaken, tokens
from tests.model.test_steps import by_steps
from tests.reference import reference

DIMS = Dims(d_model=32, n_layers=4, n_heads=4, seq_len=13, vocab_size=32, dropout=0.0, bias=False)
X = torch.randn(2, DIMS.seq_len, DIMS.d_model, generator=torch.Generator().manual_seed(1))


def attention_of(name: str, kernel: str, layer: int, **knobs: Any) -> tuple[HeadsAttention, Any]:
    """A layer's attention in float32 with large weights, and the context of a forward pass."""
    model = shaken(gpt(DIMS, attention=part("attention", name, **knobs), kernel=kernel, pos="rope")).float()
    return model.blocks[layer].attention, context(model, DIMS.seq_len)


def config_of(module: str, name: str, **knobs: Any) -> Any:
    """A configuration of theirs with our sizes."""
    return getattr(reference(f"transformers.models.{module}.configuration_{module}"), name)(
        hidden_size=DIMS.d_model,
        num_attention_heads=DIMS.n_heads,
        num_key_value_heads=DIMS.n_heads,
        head_dim=DIMS.d_head,
        num_hidden_layers=DIMS.n_layers,
        attn_implementation="eager",
        **knobs,
    )


def projections(layer: HeadsAttention) -> dict[str, Tensor]:
    """Our weights under their names."""
    q, k, v = layer.qkv.weight.split(layer.widths)
    names = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight")
    return dict(zip(names, (q, k, v, layer.out.weight), strict=True))


def turned(module: Any, config: Any) -> tuple[Tensor, Tensor]:
    """The tables of their rotation."""
    return module(config)(torch.zeros(1), torch.arange(DIMS.seq_len)[None])  # type: ignore[no-any-return]


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("window", [1, 3, 5, 0.25, 13])
def test_the_window_is_mistral_s(window: float, kernel: str) -> None:
    layer, called = attention_of("window", kernel, 0, window=window)
    config = config_of("mistral", "MistralConfig", sliding_window=4 if window == 0.25 else window)
    module = reference("transformers.models.mistral.modeling_mistral")
    theirs = module.MistralAttention(config, 0)
    theirs.load_state_dict(projections(layer))
    mask = reference("transformers.masking_utils").create_sliding_window_causal_mask(config, X, None, None)
    expected, _ = theirs(X, turned(module.MistralRotaryEmbedding, config), mask)
    torch.testing.assert_close(layer(X, called), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("every", [1, 2, 3, 6])
def test_layers_that_see_all_are_gemma_s(every: int) -> None:
    config = reference("transformers.models.gemma3.configuration_gemma3").Gemma3TextConfig(
        num_hidden_layers=DIMS.n_layers, sliding_window_pattern=every
    )
    model = gpt(DIMS, attention=part("attention", "window", every=every))
    densities = [block.attention.density(13) for block in model.blocks]
    assert ["full_attention" if density == 1 else "sliding_attention" for density in densities] == config.layer_types


def test_blocks_give_what_the_mask_gives() -> None:
    """In float64, for sequences that blocks fit and others; biases by distance included."""
    for window in (2, 3, 5, 12):
        for pos in ("rope", "alibi"):
            model = shaken(gpt(DIMS, attention=part("attention", "window", window=window), pos=pos))
            own = model.blocks[0].attention
            for n in (3, 10, 13):
                q, k, v = torch.randn(3, 2, DIMS.n_heads, n, DIMS.d_head, dtype=torch.float64)
                at = torch.arange(n)
                plain = model.kernel(q, k, v, own.mask(n), bias=model.pos.bias(at, at))
                assert_same(own.attend(q, k, v, context(model, n)), plain)


def test_the_density_of_every_layer_is_told() -> None:
    facts = gpt(DIMS, attention=part("attention", "window", window=4, every=2)).facts()
    local = (4 * 5 / 2 + 9 * 4) / (13 * 14 / 2)
    assert [facts[f"attention_density_{layer}"] for layer in range(4)] == [local, 1, local, 1]
    assert facts["attention_density"] == pytest.approx((local + 1) / 2)


def test_a_window_holds_as_much_for_any_context() -> None:
    model = gpt(DIMS, attention=part("attention", "window", window=4))
    assert model.state_bytes(3) == model.state_bytes(1000) == 4 * 2 * DIMS.d_model * 3 * 4
    long = shaken(gpt(DIMS, attention=part("attention", "window", window=4), pos="none"))
    x = tokens(2, seq_len=40)  # beyond the context, which no table limits here
    with torch.no_grad():
        assert_same(by_steps(long, x, (7, 8, 9, 30)), long(x))


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"window": 0}, "window=0"),
        ({"window": -0.5}, "window=-0.5"),
        ({"window": 2.5}, "window=2.5"),
        ({"every": 0}, "every=0"),
    ],
)
def test_impossible_windows_are_refused(knobs: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=rf"attention\.{word}"):
        gpt(DIMS, attention=part("attention", "window", **knobs))


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("number", [0, 3])
def test_differential_attention_is_diffllama_s(number: int, kernel: str) -> None:
    layer, called = attention_of("differential", kernel, number)
    module = reference("transformers.models.diffllama.modeling_diffllama")
    config = config_of("diffllama", "DiffLlamaConfig", rms_norm_eps=1e-5)
    theirs = module.DiffLlamaAttention(config, number)
    vectors = {f"lambda_{name}": getattr(layer, f"factor_{name}") for name in ("q1", "k1", "q2", "k2")}
    theirs.load_state_dict({**projections(layer), **vectors})
    future = torch.full((DIMS.seq_len, DIMS.seq_len), -torch.inf).triu(1)[None, None]
    expected, _ = theirs(X, turned(module.DiffLlamaRotaryEmbedding, config), future)
    torch.testing.assert_close(layer(X, called), expected, rtol=1e-5, atol=1e-5)


def test_differential_attention_needs_pairs() -> None:
    with pytest.raises(ValueError, match=r"takes heads in pairs, and model\.n_heads=1 is odd"):
        gpt(Dims(16, 1, 1, 8, 32, 0.0, True), attention="differential")
