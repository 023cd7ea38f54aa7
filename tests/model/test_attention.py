"""Options that coincide for some knobs, and fast paths that agree with the definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

from algoprog import build
from algoprog.model.attention.sparse import SparseAttention
from algoprog.model.interface.context import Context
from algoprog.model.interface.part import Kernel
from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.reports import Reports
from algoprog.model.interface.site import Site
from algoprog.model.kernel.flash import FlashKernel
from algoprog.model.kernel.math import MathKernel
from algoprog.model.pos.none import NoPosition
from tests.configs import (
    ROUNDING,
    SITE,
    TINY,
    assert_same,
    cases,
    context,
    gpt,
    options,
    part,
    plain_softmax,
    shaken,
    tokens,
)
from tests.model.test_flops import label


def outcome(**parts: str | dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and gradients of the shaken model."""
    model, x = shaken(gpt(**parts)), tokens(2)
    logits = model(x)
    cross_entropy(logits.flatten(0, 1), x.flatten()).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


ALIKE = [
    pytest.param(part("attention", "mqa", n_kv_heads=TINY.n_heads), "dense", id="mqa of all heads is dense"),
    pytest.param(part("attention", "gqa", group_size=1), "dense", id="gqa of groups of one is dense"),
    pytest.param(part("attention", "gqa", group_size=TINY.n_heads), "mqa", id="gqa of one group is mqa"),
    pytest.param(part("attention", "gqa"), part("attention", "mqa", n_kv_heads=2), id="gqa in between is mqa"),
    pytest.param(part("attention", "sparse", window=TINY.seq_len), "dense", id="sparse of one window is dense"),
    pytest.param(part("attention", "sparse", window=99), "dense", id="sparse of a longer window is dense"),
    pytest.param(part("attention", "sparse", window=1, n_summary=1), "dense", id="sparse that sees all is dense"),
    pytest.param(
        part("attention", "sparse", pattern="strided", window=1), "dense", id="strided by one position is dense"
    ),
]


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize(("special", "plain"), ALIKE)
def test_options_coincide(special: dict[str, Any], plain: Any, kernel: str) -> None:
    logits, gradients = outcome(attention=special, kernel=kernel)
    assert_same((logits, gradients), outcome(attention=plain, kernel=kernel))
    special_model, plain_model = (gpt(attention=a) for a in (special, plain))
    for one, other in zip(special_model.parameters(), plain_model.parameters(), strict=True):
        assert one.equal(other), "they begin alike, too"
    assert special_model.flops_per_token() == plain_model.flops_per_token()


@pytest.mark.parametrize("pos", options("pos"))
@pytest.mark.parametrize("attention", cases("attention"), ids=label)
def test_kernels_agree(attention: dict[str, Any], pos: str) -> None:
    """FlashAttention on or off is an A/A test: the same function and the same gradients."""
    plain = outcome(attention=attention, pos=pos, kernel="math")
    for kernel in set(options("kernel")) - {"math"}:
        assert_same(outcome(attention=attention, pos=pos, kernel=kernel), plain)


@pytest.mark.parametrize("kernel", [MathKernel, FlashKernel])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_kernel_against_the_formula(kernel: Callable[..., Kernel], n_kv_heads: int) -> None:
    """Query head h uses key/value head h // (heads / kv_heads); the scores are divided by the root of d_head."""
    q, k, v = heads(7, TINY.n_heads), heads(7, n_kv_heads), heads(7, n_kv_heads)
    mixed = kernel(SITE)(q, k, v, None)
    for head in range(TINY.n_heads):
        shared = head * n_kv_heads // TINY.n_heads
        for i in range(7):
            scores = k[0, shared, : i + 1] @ q[0, head, i] / TINY.d_head**0.5
            weights = scores.exp() / scores.exp().sum()
            assert_same(mixed[0, head, i], weights @ v[0, shared, : i + 1])


@pytest.mark.parametrize("kernel", [MathKernel, FlashKernel])
@pytest.mark.parametrize("n_kv_heads", [1, 4])
def test_float32_is_off_by_its_roundings_alone(kernel: Callable[..., Kernel], n_kv_heads: int) -> None:
    """A score of d products is off by d + 2 roundings of |q| |k|, a weight by twice that and by those of its sum."""
    q, k, v = heads(13, TINY.n_heads), heads(13, n_kv_heads), heads(13, n_kv_heads)
    exact = kernel(SITE)(q, k, v, None)
    rounded = kernel(SITE)(q.float(), k.float(), v.float(), None)
    scores = q.norm(dim=-1).max() * k.norm(dim=-1).max() / TINY.d_head**0.5
    roundings = 2 * (TINY.d_head + 4) * max(1.0, scores.item()) + 2 * 13  # inputs are rounded too
    bound = torch.finfo(torch.float32).eps * roundings * v.abs().max()
    assert 0 < (rounded - exact).abs().max() < bound


def test_mqa_never_copies_keys_or_values_on_the_flash_path() -> None:
    dims = replace(TINY, d_model=512, n_heads=16, seq_len=512)
    q, k, v = (heads(512, n_heads, dims.d_head).float() for n_heads in (16, 1, 1))
    one_copy = q.nbytes
    many = allocated(lambda: FlashKernel(Site.shared(dims))(q, k.repeat(1, 16, 1, 1), v.repeat(1, 16, 1, 1), None))
    few = allocated(lambda: FlashKernel(Site.shared(dims))(q, k, v, None))
    assert many - few >= 2 * one_copy, "the measurement sees copies where they are made"
    assert few < 2 * one_copy, "the output and a little scratch memory"


def allocated(run: Callable[[], object]) -> int:
    """Bytes that are allocated in `run()`, freed again or not."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        run()
    return sum(max(0, event.self_cpu_memory_usage) for event in trace.key_averages())


def heads(seq_len: int, n_heads: int, d_head: int = TINY.d_head, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seq_len + n_heads)
    return torch.randn(batch, n_heads, seq_len, d_head, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_hiding_keys_takes_no_pass_over_the_gradients_of_scores(n_kv_heads: int) -> None:
    """Changing a view in place would: autograd copies its gradient, twice."""
    q, k, v = (torch.randn(2, heads, 6, 8, requires_grad=True) for heads in (4, n_kv_heads, n_kv_heads))
    seen, ahead = set(), [MathKernel(SITE)(q, k, v, None).grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead.extend(further for further, _ in node.next_functions)
    names = {node.name() for node in seen}
    assert "SoftmaxBackward0" in names
    assert not {"CopySlices", "AsStridedBackward0"} & names


@pytest.mark.parametrize(("d_head", "biased", "wide"), [(32, False, True), (32, True, True), (64, False, False)])
def test_narrow_heads_are_attended_in_float32_on_a_cpu(d_head: int, biased: bool, wide: bool) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 40, d_head, dtype=torch.bfloat16) for _ in range(3))
    bias = torch.randn(4, 40, 40, dtype=torch.bfloat16) if biased else None
    wide_bias = bias.float() if bias is not None else None
    expected = FlashKernel(SITE)(q.float(), k.float(), v.float(), None, bias=wide_bias).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = FlashKernel(SITE)(q, k, v, None, bias=bias)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed, expected, rtol=0.05, atol=0.05)
    assert torch.equal(mixed, expected) == wide


KERNELS = [part("kernel", name) for name in options("kernel")]


@pytest.mark.parametrize("kernel", KERNELS, ids=label)
@pytest.mark.parametrize("n_queries", [1, 3, 7])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_kernels_take_other_widths_scales_biases_and_fewer_queries(
    kernel: dict[str, Any], n_queries: int, scale: float | None, biased: bool, masked: bool
) -> None:
    """Against the formula; without a mask the last query sees the last key."""
    n_keys, d_value = 7, 6
    q, k, v = heads(n_queries, 4), heads(n_keys, 2), heads(n_keys, 2, d_head=d_value)
    bias = heads(n_queries, 4, d_head=n_keys).roll(1) if biased else None
    mask = torch.rand(n_queries, n_keys, generator=torch.Generator().manual_seed(3)) < 0.5
    mask[:, 0] = True
    scores = q @ k.repeat_interleave(2, dim=1).transpose(-1, -2) * (TINY.d_head**-0.5 if scale is None else scale)
    scores = scores if bias is None else scores + bias
    causal = torch.arange(n_keys)[None] <= torch.arange(n_keys)[n_keys - n_queries :, None]
    weights = scores.masked_fill(~(mask if masked else causal), -torch.inf).softmax(dim=-1)
    build_kernel = build.construct({"kernel": kernel}, "kernel")
    mixed = build_kernel(SITE)(q, k, v, mask if masked else None, scale=scale, bias=bias)
    assert_same(mixed, weights @ v.repeat_interleave(2, dim=1))


@pytest.mark.parametrize("attention", cases("attention"), ids=label)
@pytest.mark.parametrize("kernel", options("kernel"))
def test_who_looks_at_whom_is_the_mask(attention: dict[str, Any], kernel: str) -> None:
    """The gradient of the output at i by the input at j is not zero exactly where mask[i, j] is True."""
    model = shaken(gpt(attention=attention, kernel=kernel))
    layer = model.blocks[0].attention
    x = torch.randn(1, TINY.seq_len, TINY.d_model, dtype=torch.float64, requires_grad=True)
    out = layer(x, context(model, TINY.seq_len))
    looks = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0][0].abs().amax(dim=-1) > ROUNDING for row in out[0]]
    assert torch.stack(looks).equal(layer.mask(TINY.seq_len))
    assert layer.attended_keys(TINY.seq_len, TINY.seq_len) == layer.mask(TINY.seq_len).sum()
    assert layer.density(TINY.seq_len) == layer.mask(TINY.seq_len).sum() / (13 * 14 / 2)


SPARSE = {
    "pattern": st.sampled_from(["fixed", "strided"]),
    "window": st.one_of(st.just("sqrt"), st.integers(1, 12)),
    "n_summary": st.integers(0, 12),
    "context": st.integers(1, 40),
    "shorter": st.integers(0, 39),
}


def sparse(pattern: str, window: int | str, n_summary: int, seq_len: int) -> SparseAttention:
    dims = replace(TINY, seq_len=seq_len)
    allowed = seq_len if window == "sqrt" else min(int(window), seq_len)
    while True:
        try:
            return SparseAttention(
                Site.inside(dims, 0),
                plain_softmax(),
                pattern=pattern,
                window=window,
                n_summary=min(n_summary, allowed),
            )
        except ValueError:  # the window of sqrt is shorter still
            allowed -= 1


@given(**SPARSE)
def test_sparse_pattern_is_as_described(
    pattern: str, window: int | str, n_summary: int, context: int, shorter: int
) -> None:
    layer, n = sparse(pattern, window, n_summary, context), max(1, context - shorter)
    w, s = layer.window, layer.n_summary
    for i, row in enumerate(layer.mask(n).tolist()):
        for j, seen in enumerate(row):
            if pattern == "fixed":
                described = j <= i and (i // w == j // w or j % w in range(max(0, w - s), w))
            else:
                described = j <= i and (i - j < w or (i - j) % w == 0)
            assert seen == described, (i, j)
    assert layer.attended_keys(n, n) == layer.mask(n).sum()


@settings(max_examples=60)
@example(pattern="fixed", window="sqrt", n_summary=6, context=40, shorter=36)
@given(**SPARSE)
def test_fast_path_is_the_masked_path(
    pattern: str, window: int | str, n_summary: int, context: int, shorter: int
) -> None:
    layer, n = sparse(pattern, window, n_summary, context), max(1, context - shorter)
    inputs = [heads(n, TINY.n_heads, batch=2).roll(shift).requires_grad_() for shift in range(3)]
    weights = heads(n, TINY.n_heads, batch=2).roll(3)
    kernel = MathKernel(SITE)
    slow = kernel(*inputs, layer.mask(n))
    gradients = torch.autograd.grad((slow * weights).sum(), inputs)
    for fast_kernel in (kernel, FlashKernel(SITE)):
        fast = layer.attend(
            *inputs, Context(FromTheStart(n), Reports(), {"pos": NoPosition(SITE), "kernel": fast_kernel})
        )
        assert_same(fast, slow)
        fast_gradients = torch.autograd.grad((fast * weights).sum(), inputs)
        assert_same(fast_gradients, gradients)


@pytest.mark.parametrize("pattern", ["fixed", "strided"])
@pytest.mark.parametrize("n", [64, 100, 256, 300, 1024])
def test_sparse_keys_grow_as_n_sqrt_n(pattern: str, n: int) -> None:
    few, many = (sparse(pattern, "sqrt", 1, length).attended_keys(length, length) for length in (n, 4 * n))
    assert many / few <= 8.5
    assert few <= 2 * n * n**0.5 + n
    assert gpt(replace(TINY, seq_len=1024), attention="sparse").attention_density() < 0.1


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            part("attention", "mqa", n_kv_heads=3),
            "attention.n_kv_heads=3 does not divide model.n_heads=4",
        ),
        (part("attention", "mqa", n_kv_heads=0), "attention.n_kv_heads=0"),
        (
            part("attention", "gqa", group_size=3),
            "attention.group_size=3 does not divide model.n_heads=4",
        ),
        (part("attention", "sparse", pattern="blocks"), "attention.pattern=blocks must be fixed or strided"),
        (part("attention", "sparse", window=0), "attention.window=0 must be sqrt or at least 1"),
        (part("attention", "sparse", window=4, n_summary=5), "n_summary=5 must lie between 0 and the window of 4"),
        (part("attention", "sparse", n_summary=-1), "n_summary=-1"),
    ],
)
def test_refusals_name_the_knob(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        gpt(attention=parts)
