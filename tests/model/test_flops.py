"""What a part declares as its cost is what a counter counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.site import Site
from tests.configs import TINY, cases, gpt, options, tokens
from tests.model.counting import CountingKernel, counted

DIMS = replace(TINY, seq_len=16)  # whole windows: padding would be counted though it is no work of the model
SHORT = replace(TINY, seq_len=12)
SIZES = {
    "compact": Dims(d_model=384, n_layers=6, n_heads=6, seq_len=512, vocab_size=50304, dropout=0.2, bias=True),
    "full": Dims(d_model=768, n_layers=10, n_heads=12, seq_len=1024, vocab_size=50304, dropout=0.4, bias=True),
}


def label(part: dict[str, Any]) -> str:
    knobs = ",".join(f"{key}={value}" for key, value in part.items() if not key.startswith("_"))
    return part["_target_"].split(".")[-2] + (f"({knobs})" if knobs else "")


CASES = [
    pytest.param(axis, case, id=f"{axis}={label(case)}")
    for axis in (
        "attention",
        "norm",
        "final_norm",
        "pos",
        "qk_norm",
        "output_gate",
        "sinks",
        "softcap",
        "mlp",
        "skip",
        "head",
    )
    for case in cases(axis)
    if case.get("window", "sqrt") == "sqrt" or SHORT.seq_len % case["window"] == 0
    if ".nsa." not in case["_target_"]  # whose first branch no kernel computes: tests/model/test_nsa.py counts it
]


def loss(model: Backbone, x: Tensor) -> Tensor:
    return cross_entropy(model(x).flatten(0, 1), x.flatten())


def with_counting_kernel(model: Backbone) -> Backbone:
    model.kernel = CountingKernel(Site.shared(model.dims))
    return model


@pytest.mark.parametrize(("axis", "case"), CASES)
def test_closed_form_is_what_is_counted(axis: str, case: dict[str, Any]) -> None:
    model, x = with_counting_kernel(gpt(SHORT, **{axis: case})), tokens(1, SHORT)
    losses: list[Tensor] = []
    assert counted(lambda: losses.append(loss(model, x))) == model.flops_per_token() / 3 * x.numel()
    assert counted(losses[0].backward) == model.flops_per_token() / 3 * 2 * x.numel()


def test_closed_form_holds_where_everything_is_changed() -> None:
    model = gpt(DIMS, attention="sparse", norm="rmsnorm", final_norm="none", pos="rope", mlp="swiglu")
    x = tokens(2, DIMS)
    assert counted(lambda: loss(with_counting_kernel(model), x).backward()) == model.flops_per_token() * x.numel()


def test_math_kernel_computes_the_masked_half_on_top() -> None:
    model, x = gpt(DIMS), tokens(2, DIMS)
    n = DIMS.seq_len
    masked = n * n - n * (n + 1) // 2
    waste = 4 * DIMS.d_model * masked * DIMS.n_layers * len(x)
    assert counted(lambda: model(x)) - waste == model.flops_per_token() / 3 * x.numel()
    assert counted(lambda: loss(model, x).backward()) - 3 * waste == model.flops_per_token() * x.numel()


def test_windows_save_the_masked_work() -> None:
    """The fast path of the fixed pattern computes `window + n_windows * n_summary` keys a query, not the sequence."""
    dims = replace(TINY, seq_len=64)
    x = tokens(1, dims)
    savings = counted(lambda: gpt(dims)(x)) - counted(lambda: gpt(dims, attention="sparse")(x))
    assert savings == 4 * dims.d_model * dims.n_layers * 64 * (64 - (8 + 8 * 1))


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("attention", options("attention"))
def test_kernel_is_no_part_of_the_cost(attention: str, kernel: str) -> None:
    """An execution choice has the model FLOPs of the baseline by construction."""
    assert gpt(attention=attention, kernel=kernel).flops_per_token() == gpt(attention=attention).flops_per_token()


@pytest.mark.parametrize(("size", "all_keys", "causal_keys"), [("compact", 0.954, 0.953), ("full", 0.914, 0.908)])
def test_mqa_costs_what_the_paper_says(size: str, all_keys: float, causal_keys: float) -> None:
    dims = SIZES[size]
    with torch.device("meta"):
        dense, mqa = (gpt(dims, seed=None, attention=name).flops_per_token() for name in ("dense", "mqa"))
    masked = dims.seq_len - (dims.seq_len + 1) / 2
    on_top = 3 * 4 * dims.d_model * masked * dims.n_layers  # where masked keys count too, as in PaLM's appendix B
    assert round((mqa + on_top) / (dense + on_top), 3) == all_keys
    assert round(mqa / dense, 3) == causal_keys


def test_baseline_from_first_principles() -> None:
    dims = SIZES["compact"]
    with torch.device("meta"):
        model = gpt(dims, seed=None)
    matrices = dims.n_layers * (4 + 8) * dims.d_model**2 + dims.vocab_size * dims.d_model
    attention = dims.n_layers * 2 * dims.d_model * (dims.seq_len + 1) / 2
    assert model.flops_per_token() == 6 * (matrices + attention)


def test_sparse_cost_counts_attended_keys() -> None:
    dense, sparse = gpt(DIMS), gpt(DIMS, attention="sparse")
    skipped = 136 - (4 * 10 + 4 * (1 + 2 + 3))  # causal pairs less four windows of 4 and one summary of each earlier
    saved = dense.flops_per_token() - sparse.flops_per_token()
    assert saved * DIMS.seq_len == 3 * 4 * DIMS.d_model * skipped * DIMS.n_layers


def test_density_is_measured() -> None:
    assert gpt(DIMS).attention_density() == 1
    assert gpt(DIMS, attention="sparse").attention_density() == 64 / 136
