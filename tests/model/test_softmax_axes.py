"""Axes of softmax attention against transformers (5.24): norms of queries and keys, gates, sinks, bounds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from algoprog import build
from algoprog.model.interface.site import Site
from tests.configs import TINY, assert_same, cases, context, gpt, options, part, shaken, tokens
from tests.model.test_flops import label
from tests.model.test_steps import by_steps
from tests.model.test_window_differential import DIMS, X, config_of, projections, turned
from tests.reference import reference

PLACE = Site.inside(DIMS, 0)

WITH = {"qk_norm": "rmsnorm", "output_gate": "sigmoid", "sinks": "learned"}
"""An option of each that goes with every kernel."""


def future(n: int) -> Tensor:
    return torch.full((n, n), -torch.inf).triu(1)[None, None]


@pytest.mark.parametrize("kernel", options("kernel"))
def test_norms_and_gate_are_qwen3_next_s(kernel: str) -> None:
    """Whose gains are what is added to one, and whose gate lies with the query, head by head."""
    parts: dict[str, Any] = {"output_gate": "sigmoid", "qk_norm": part("norm", "rmsnorm", eps=1e-6)}
    model = shaken(gpt(DIMS, **parts, kernel=kernel, pos="rope")).float()
    layer = model.blocks[0].attention
    config = config_of("qwen3_next", "Qwen3NextConfig", rms_norm_eps=1e-6)
    theirs = reference("transformers.models.qwen3_next.modeling_qwen3_next").Qwen3NextAttention(config, 0)
    own = projections(layer)
    by_head = [
        weight.unflatten(0, (DIMS.n_heads, -1)) for weight in (own["q_proj.weight"], layer.output_gate.gate.weight)
    ]
    norms = {f"{name}.weight": getattr(layer, name).gain - 1 for name in ("q_norm", "k_norm")}
    theirs.load_state_dict({**own, "q_proj.weight": torch.cat(by_head, dim=1).flatten(0, 1), **norms})
    llama = config_of("llama", "LlamaConfig")
    tables = turned(reference("transformers.models.llama.modeling_llama").LlamaRotaryEmbedding, llama)
    expected, _ = theirs(X, tables, future(DIMS.seq_len))
    torch.testing.assert_close(layer(X, context(model, DIMS.seq_len)), expected, rtol=1e-5, atol=1e-5)


def heads(n_kv_heads: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(3 * torch.randn(2, h, 7, 8, generator=generator) for h in (4, n_kv_heads, n_kv_heads))  # type: ignore[return-value]


@pytest.mark.parametrize("kernel", options("kernel"))
def test_sinks_are_gpt_oss_s(kernel: str) -> None:
    own = build.construct({"kernel": part("kernel", kernel)}, "kernel")(PLACE)
    q, k, v = heads()
    sinks = torch.linspace(-2, 3, 4)
    module = SimpleNamespace(num_key_value_groups=2, sinks=sinks, training=False)
    theirs = reference("transformers.models.gpt_oss.modeling_gpt_oss").eager_attention_forward
    expected, _ = theirs(module, q, k, v, future(7), scaling=8**-0.5)
    torch.testing.assert_close(own(q, k, v, None, sinks=sinks).transpose(1, 2), expected, rtol=1e-5, atol=1e-6)


def test_the_bound_is_gemma_2_s() -> None:
    own = build.construct({"kernel": part("kernel", "math")}, "kernel")(PLACE)
    q, k, v = heads()
    module = SimpleNamespace(num_key_value_groups=2, training=False)
    theirs = reference("transformers.models.gemma2.modeling_gemma2").eager_attention_forward
    expected, _ = theirs(module, q, k, v, future(7), scaling=8**-0.5, softcap=2.0)
    torch.testing.assert_close(own(q, k, v, None, cap=2.0).transpose(1, 2), expected, rtol=1e-5, atol=1e-6)
    assert (own(q, k, v, None, cap=2.0) - own(q, k, v, None)).abs().max() > 0.1
    assert_same(*(own(*(x.double() for x in (q, k, v)), None, cap=cap) for cap in (None, 1e9)))


@pytest.mark.parametrize(
    "attention", [case for case in cases("attention") if label(case).split("(")[0] != "mla"], ids=label
)
def test_kernels_and_steps_agree_beside_all_of_them(attention: dict[str, Any]) -> None:
    """With a bias of positions besides."""
    x = tokens(2)
    models = [shaken(gpt(attention=attention, kernel=kernel, pos="alibi", **WITH)) for kernel in options("kernel")]
    with torch.no_grad():
        wholes = [model(x) for model in models]
        assert_same(wholes[0], wholes[1])
        for model in models:
            assert_same(by_steps(model, x, (3, 4, 9)), wholes[0])
        bounded = shaken(gpt(attention=attention, softcap="tanh"))
        assert_same(by_steps(bounded, x, (5,)), bounded(x))


def test_latent_attention_takes_those_that_mean_something() -> None:
    x = tokens(2)
    for kernel in options("kernel"):
        model = shaken(gpt(attention="mla", kernel=kernel, output_gate="sigmoid", sinks="learned"))
        with torch.no_grad():
            assert_same(by_steps(model, x, (3, 4, 9)), model(x))


def test_a_bound_is_refused_where_no_product_is_seen() -> None:
    with pytest.raises(ValueError, match=r"softcap\.cap=50\.0 bounds the products .* choose kernel=math"):
        gpt(kernel="flash", softcap="tanh")


def test_a_gate_of_a_head_serves_all_its_features() -> None:
    wide, narrow = (shaken(gpt(output_gate=part("output_gate", "sigmoid", per=per))) for per in ("feature", "head"))
    gates = [model.blocks[0].attention.output_gate for model in (wide, narrow)]
    with torch.no_grad():
        for name in ("weight", "bias"):
            per_head = getattr(gates[1].gate, name)
            getattr(gates[0].gate, name).copy_(per_head.repeat_interleave(TINY.d_head, dim=0))
    x, mixed = torch.randn(2, 2, 3, TINY.d_model, dtype=torch.float64)
    assert_same(gates[0](mixed, x), gates[1](mixed, x))
