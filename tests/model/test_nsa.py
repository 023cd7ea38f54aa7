"""Native sparse attention against the paper's formulas in numpy, and fla-core (0.6.0), and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from algoprog.model.attention.nsa import REACHED, SELECTED, NativeSparseAttention
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports, key
from algoprog.model.interface.site import Work
from algoprog.model.selected_blocks import chosen, importance
from tests.configs import assert_same, context, gpt, options, part, shaken, tokens
from tests.model.counting import counted
from tests.model.test_flops import with_counting_kernel
from tests.model.test_gated_deltanet import close
from tests.model.test_steps import by_steps
from tests.reference import fla

DIMS = Dims(d_model=32, n_layers=2, n_heads=4, seq_len=40, vocab_size=32, dropout=0.0, bias=True)
FINE = {"block": 4, "n_blocks": 5, "window": 3}
"""Ten blocks, of which a late query chooses two by what it sees in their summaries."""


def nsa(dims: Dims = DIMS, *, pos: str = "learned", kernel: str = "math", **knobs: Any) -> Backbone:
    return gpt(dims, attention=part("attention", "nsa", **{**FINE, **knobs}), pos=pos, kernel=kernel)


def by_the_paper(layer: NativeSparseAttention, x: np.ndarray) -> np.ndarray:
    """What the layer gives for one sequence, query by query and block by block, without positions."""
    own = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    heads, groups, width, block = layer.n_heads, layer.n_kv_heads, layer.d_head, layer.block
    stride, scale = block // 4, layer.sharpness / math.sqrt(width)
    read = x @ own["qkv.weight"].T + own["qkv.bias"]
    q = read[:, : heads * width].reshape(len(x), heads, width)
    k, v = np.split(read[:, heads * width :].reshape(len(x), 2 * 3, groups, width), 2, axis=1)
    gates = 1 / (1 + np.exp(-(x @ own["gates.weight"].T + own["gates.bias"]))).reshape(len(x), 3, heads)

    def softmax(scores: np.ndarray) -> np.ndarray:
        e = np.exp(scores - scores.max())
        return e / e.sum()  # type: ignore[no-any-return]

    def gelu(z: np.ndarray) -> np.ndarray:
        return z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2  # type: ignore[no-any-return]

    def summary(kind: str, positions: np.ndarray) -> np.ndarray:
        name = f"{kind}_summary"
        hidden = gelu((positions + own[f"{name}.places"]).ravel() @ own[f"{name}.up.weight"].T + own[f"{name}.up.bias"])
        return hidden @ own[f"{name}.down.weight"].T + own[f"{name}.down.bias"]  # type: ignore[no-any-return]

    given = np.zeros((len(x), heads, width))
    for t in range(len(x)):
        starts = [i for i in range(0, len(x), stride) if i + 2 * stride - 1 <= t]
        for g in range(groups):
            mine = range(g * heads // groups, (g + 1) * heads // groups)
            wanted = np.zeros(t // block + 1)
            if starts:
                ks, vs = (
                    np.stack([summary(name, z[i : i + 2 * stride, 0, g]) for i in starts])
                    for name, z in (("k", k), ("v", v))
                )
                for h in mine:
                    weights = softmax(ks @ q[t, h] * scale)
                    given[t, h] += gates[t, 0, h] * (weights @ vs)
                    for i, weight in zip(starts, weights, strict=True):
                        for within in (i, i + stride):  # equation 9: every stride of a summary counts for its block
                            wanted[within // block] += weight
            always = [t // block, 0, t // block - 1]
            best = [j for j in np.argsort(-wanted, kind="stable") if j not in always]
            into = list(dict.fromkeys(j for j in [*always, *best] if j >= 0))[: layer.n_blocks]
            seen = [i for i in range(t + 1) if i // block in into]
            last = list(range(max(0, t + 1 - layer.window), t + 1))
            for h in mine:
                for branch, keys in ((1, seen), (2, last)):
                    weights = softmax(k[keys, branch, g] @ q[t, h] * scale)
                    given[t, h] += gates[t, branch, h] * (weights @ v[keys, branch, g])
    return given.reshape(len(x), -1) @ own["out.weight"].T + own["out.bias"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("knobs", [{}, {"group_size": 4, "n_blocks": 2, "block": 8}, {"group_size": 1, "n_blocks": 4}])
@torch.no_grad()
def test_it_is_that_of_the_paper(knobs: dict[str, Any], kernel: str) -> None:
    model = shaken(nsa(kernel=kernel, **knobs))
    x = torch.randn(1, 37, DIMS.d_model, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    layer = model.blocks[0].attention
    layer.sharpness = 0.5 if knobs else 1.0  # as by init=mup
    assert_same(layer(x, context(model, 37))[0], torch.from_numpy(by_the_paper(layer, x[0].numpy())))


def branches(n: int = 40) -> tuple[NativeSparseAttention, Any, Tensor, Tensor]:
    """A layer in float32, the context of its pass, queries that were turned, and keys beside values of each branch."""
    model = shaken(nsa(pos="rope")).float()
    layer, there = model.blocks[0].attention, context(model, n)
    x = torch.randn(2, n, DIMS.d_model, generator=torch.Generator().manual_seed(1))
    _, turned, of_branches = layer._branches(x, there)
    return layer, there, turned, torch.stack(of_branches)


@torch.no_grad()
def test_chosen_blocks_and_the_window_are_those_of_flash_linear_attention() -> None:
    """Their selection with the blocks that we chose, and with blocks of one position for the window."""
    layer, there, turned, (of_summary, blocks, window) = branches()
    at = torch.arange(40)
    summary = layer._summaries(torch.stack([of_summary[:, :, i : i + 2] for i in range(39)], dim=2))
    q = turned  # any
    (_, second), _ = layer._from_blocks(q, turned, summary, blocks, at, there)
    _, weights = layer._from_summaries(q, summary, at)
    into = chosen(importance(weights.mean(dim=2), 10), at, 4, 5)
    indices = torch.where(into, torch.arange(10), -1).sort(descending=True).values[..., :5]
    theirs = fla("ops/nsa/naive.py").naive_nsa_selection
    for branch, ours, numbers, size in (
        (blocks, second, indices.transpose(1, 2), 4),
        (window, layer._from_window(turned, window, at, at, there), (at[:, None] - torch.arange(3))[:, None], 1),
    ):
        k, v = (x.transpose(1, 2) for x in branch.chunk(2, dim=1))
        # Of a position before the first theirs makes a negative number of the last, which it hides.
        expected = theirs(turned.transpose(1, 2), k, v, numbers.expand(2, 40, 2, -1), size)
        close(ours.transpose(1, 2), expected)


def test_blocks_are_chosen_as_by_flash_linear_attention() -> None:
    """Of the same wish: their probability of a block; own, last and first are always among the chosen."""
    generator = torch.Generator().manual_seed(2)
    q, k = torch.randn(2, 40, 4, 8, generator=generator), torch.randn(2, 10, 2, 8, generator=generator)
    theirs = fla("ops/nsa/naive.py").naive_nsa_topk(q, k, 5, 4, 1.0)
    at = torch.arange(40)
    complete = (torch.arange(10) + 1) * 4 - 1 <= at[:, None]
    scores = torch.einsum("bthgd,bchd->bhgtc", q.unflatten(2, (2, 2)), k).masked_fill(~complete, -torch.inf)
    into = chosen(scores.softmax(dim=-1).nan_to_num().mean(dim=2), at, 4, 5)
    for row, mask in zip(theirs.transpose(1, 2).flatten(0, 2), into.flatten(0, 2), strict=True):
        assert {int(j) for j in row if j >= 0} == set(mask.nonzero().flatten().tolist())


def test_a_block_counts_the_strides_of_summaries_that_lie_within() -> None:
    """Equation 9 of the paper for blocks of four strides and summaries of two."""
    weights = torch.rand(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.stack(
        [
            weights[:, 0:3].sum(dim=1) * 2 + weights[:, 3],
            weights[:, 3] + 2 * weights[:, 4:7].sum(dim=1),
        ],
        dim=1,
    )
    assert_same(importance(weights, 2), expected)


def test_the_choice_follows_the_content() -> None:
    """A block whose summary is like the query is chosen, wherever it lies; others of the past are left out."""
    for wanted_block in range(1, 7):
        wanted = torch.full((1, 10), 0.01)
        wanted[0, wanted_block] = 0.9
        into = chosen(wanted, torch.tensor([37]), 4, 4)
        assert into[0].nonzero().flatten().tolist() == sorted({0, wanted_block, 8, 9})


@pytest.mark.parametrize("pos", ["rope", "alibi"])
@pytest.mark.parametrize("knobs", [{}, {"group_size": 4, "n_blocks": 2, "block": 8}])
@torch.no_grad()
def test_steps_of_any_length_are_the_forward_pass(pos: str, knobs: dict[str, Any]) -> None:
    """Where blocks are left out: summaries become complete within steps, across them, and in rows of their own."""
    model, x = shaken(nsa(pos=pos, **knobs)), tokens(3, DIMS)
    whole = model(x)
    for cuts in ((7, 8, 9, 30), tuple(range(22, 40))):
        assert_same(by_steps(model, x, cuts), whole)
    state, lengths = model.new_state(3, 40), [30, 1, 17]
    read = model.step(x[:, :30], state, torch.tensor(lengths))
    further = [model.step(x.gather(1, state.lengths[:, None] + torch.arange(n)), state) for n in (1, 6, 2)]
    for row, length in enumerate(lengths):
        assert_same(read[row, :length], whole[row, :length])
        assert_same(torch.cat(further, dim=1)[row], whole[row, length : length + 9])


@torch.no_grad()
def test_it_is_causal_where_blocks_are_left_out() -> None:
    model, x = shaken(nsa()), tokens(1, DIMS)
    for t in (5, 21, 38):
        changed = x.clone()
        changed[0, t] = (x[0, t] + 1) % DIMS.vocab_size
        change = (model(changed) - model(x)).abs().amax(dim=-1)[0]
        assert change[:t].max() == 0
        assert change[t] > 1e-9


def test_what_is_multiplied_is_counted_and_told() -> None:
    """By a kernel that multiplies what is seen alone, less the summaries that the first branch hides."""
    model, x = with_counting_kernel(nsa(replace(DIMS, seq_len=24))), tokens(1, DIMS, 24)
    layer = model.blocks[0].attention
    pairs = hidden = 0
    for t in range(24):
        complete = t  # of two positions each, one at every position but the first
        pairs += complete + t % 4 + 1 + 4 * min(4, t // 4) + min(3, t + 1)
        hidden += 23 - complete
    assert layer.pairs(24, 24) == pairs
    waste = 4 * DIMS.d_model * hidden * DIMS.n_layers * len(x)
    assert counted(lambda: model(x)) - waste == model.flops(Work("train", 1, 24, 24))
    assert counted(lambda: model(x).sum().backward()) - 3 * waste == model.flops_per_token() * x.numel()
    assert layer.facts()["attention_density"] == pairs / 300
    assert model.attention_density() == pairs / 300


def test_at_most_a_quarter_of_the_blocks_is_looked_into() -> None:
    """As it stands in conf/, at every context; what is selected is measured, so that selecting everything shows."""
    facts = [
        gpt(replace(DIMS, d_model=64, n_heads=2, seq_len=n), seed=None, attention="nsa").facts() for n in (256, 1024)
    ]
    assert [(told["nsa_block"], told["nsa_window"]) for told in facts] == [(16, 16), (64, 64)]
    assert [round(told["attention_density"], 2) for told in facts] == [0.75, 0.57]
    model, reports = nsa(replace(DIMS, seq_len=40)), Reports()
    model(tokens(2, DIMS), reports)
    selected = 4 * sum(min(5, own + 1) for own in range(10)) / (4 * sum(range(1, 11)))
    for layer in range(DIMS.n_layers):
        assert reports.statistics[key(layer, SELECTED)] == pytest.approx(selected)
        assert 0.6 < reports.statistics[key(layer, REACHED)] < 0.8
    everything = Reports()
    nsa(n_blocks=10)(tokens(2, DIMS), everything)
    assert everything.statistics[key(0, SELECTED)] == everything.statistics[key(0, REACHED)] == 1


def test_a_state_keeps_summaries_and_a_window_beside_the_positions() -> None:
    model = nsa()
    for length in (1, 2, 9, 40):
        held = length + min(2, length) + 1 + max(0, length - 1)
        assert model.state_bytes(length) == 2 * 2 * 2 * 8 * held * 4
        states = model.new_layer_states(3, length)
        assert sum(leaf.nbytes for state in states for leaf in vars(state).values()) == 3 * model.state_bytes(length)


@torch.no_grad()
def test_it_goes_on_beyond_the_context() -> None:
    model, x = shaken(nsa(pos="none")), tokens(2, seq_len=90)
    assert_same(by_steps(model, x, (50, 51)), model(x))
    assert_same(model(x)[:, :40], model(x[:, :40]))


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"group_size": 3}, "attention.group_size=3 does not divide model.n_heads=4"),
        ({"block": 6}, "attention.block=6 must be a multiple of 4 positions, or a share"),
        ({"block": 0}, "attention.block=0 must be a multiple of 4 positions"),
        ({"n_blocks": 0}, "attention.n_blocks=0 must be at least 1"),
        ({"window": 2.5}, "attention.window=2.5 must be a multiple of 1 positions"),
    ],
)
def test_refusals_name_the_knob(knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"attention=nsa: {sentence}"):
        nsa(**knobs)


@pytest.mark.parametrize("kernel", options("kernel"))
def test_bf16_stays_close_to_float32(kernel: str) -> None:
    model, x = nsa(kernel=kernel), tokens(2, DIMS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded, state = model(x), model.new_state(2, 40)
        read = torch.cat([model.step(x[:, :30], state), model.step(x[:, 30:], state)], dim=1)
    torch.testing.assert_close(rounded.float(), model(x), atol=0.02, rtol=0.05)
    torch.testing.assert_close(read.float(), model(x), atol=0.02, rtol=0.05)
