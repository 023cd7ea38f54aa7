"""How many parameters there are, how they start, and which of them decay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from algoprog.axes import MODEL
from algoprog.model.init import STD
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.part import Part
from algoprog.model.interface.roles import Declared, Role
from algoprog.variant import baseline
from tests.configs import TINY, beside, beside_each_other, cases, gpt, options, part
from tests.model.test_flops import SIZES, label

CHANGES = [
    pytest.param(axis, case, id=f"{axis}={label(case)}")
    for axis in MODEL
    for case in cases(axis)
    if label(case).split("(")[0] != baseline()[axis]
]


OF_ATTENTION = ("mixer", "attention", "qk_norm", "output_gate", "sinks", "softcap")


def paths(model: Backbone, axis: str) -> set[str]:
    """The parameters that belong to an axis; what every backbone has belongs to none of its own."""
    if axis == "backbone":
        return {name for name, _ in model.named_parameters() if not name.startswith(("embedding.", "final_norm."))}
    inside = {"norm": "_norm.", "block": "_norm", "mlp": ".mlp."} | dict.fromkeys(OF_ATTENTION, ".attention.")
    return {
        name
        for name, _ in model.named_parameters()
        if (inside.get(axis, "") in name and name.startswith("blocks." if axis in inside else f"{axis}."))
    }


COUNTS = [
    ("none", {}, 30_151_680, 110_269_440),
    ("flash", {"kernel": "flash"}, 30_151_680, 110_269_440),
    ("ln", {"norm": "ln"}, 30_151_680 + 6 * 4 * 384, 110_269_440 + 10 * 4 * 768),
    ("rope", {"pos": "rope"}, 30_151_680 - 512 * 384, 110_269_440 - 1024 * 768),
    (
        "mqa",
        {"attention": "mqa"},
        30_151_680 - 6 * 2 * 320 * (384 + 1),
        110_269_440 - 10 * 2 * 704 * (768 + 1),
    ),
    ("sparse", {"attention": "sparse"}, 30_151_680, 110_269_440),
    (
        "ln+rope+flash",
        {"norm": "ln", "pos": "rope", "kernel": "flash"},
        30_151_680 + 6 * 4 * 384 - 512 * 384,
        110_269_440 + 10 * 4 * 768 - 1024 * 768,
    ),
]


@pytest.mark.parametrize(("arm", "parts", "compact", "full"), COUNTS, ids=[row[0] for row in COUNTS])
def test_parameters_of_the_seven_arms(arm: str, parts: dict[str, str], compact: int, full: int) -> None:
    with torch.device("meta"):
        counted = [
            sum(parameter.numel() for parameter in gpt(SIZES[size], seed=None, **parts).parameters())
            for size in ("compact", "full")
        ]
    assert counted == [compact, full]


@pytest.mark.parametrize("axis", MODEL)
def test_biases_are_the_model_s_choice(axis: str) -> None:
    dims = replace(TINY, bias=False)
    for case in cases(axis):
        model = gpt(dims, **{axis: case}, **beside(axis, case))
        assert not [name for name, parameter in model.named_parameters() if name.endswith("bias")]
        model(torch.zeros(1, 3, dtype=torch.int64))


@pytest.mark.parametrize(("axis", "case"), CHANGES)
def test_one_axis_leaves_all_other_weights_bit_identical(axis: str, case: dict[str, Any]) -> None:
    has_positions = axis == "backbone" or beside_each_other(axis, case, "pos")
    others = {**beside(axis, case), **({} if has_positions else {"pos": "none"})}
    plain, changed = gpt(**others), gpt(**{axis: case}, **others)
    before, after = dict(plain.named_parameters()), dict(changed.named_parameters())
    untouched = before.keys() - paths(plain, axis)
    assert after.keys() - paths(changed, axis) == untouched
    assert [name for name in untouched if not before[name].equal(after[name])] == []
    shared = [name for name in before.keys() & after.keys() if before[name].shape == after[name].shape]
    assert [name for name in shared if not before[name].equal(after[name])] == []


@pytest.mark.parametrize("attention", [name for name in options("attention") if name not in ("mla", "nsa")])
def test_attentions_share_what_they_have_in_common(attention: str) -> None:
    for plain, changed in zip(gpt().blocks, gpt(attention=attention).blocks, strict=True):
        dense, other = plain.attention, changed.attention
        assert other.out.weight.equal(dense.out.weight)
        q, k, v = other.qkv.weight.split(other.widths)
        for mine, its in zip((q, k, v), dense.qkv.weight.split(dense.widths), strict=True):
            assert mine.equal(its[: len(mine)]), "the heads that both have"


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = gpt(seed=3, mlp="swiglu", norm="ln")
    torch.manual_seed(2)
    again, other = gpt(seed=3, mlp="swiglu", norm="ln"), gpt(seed=4, mlp="swiglu", norm="ln")
    for (name, one), two, three in zip(first.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert one.equal(two), name
        assert one.equal(three) == (one.ndim == 1), name


def test_deeper_models_begin_with_the_weights_of_shallower_ones() -> None:
    shallow, deep = gpt(), gpt(replace(TINY, n_layers=3))
    assert shallow.embedding.table.weight.equal(deep.embedding.table.weight)
    assert shallow.blocks[1].mlp.up.weight.equal(deep.blocks[1].mlp.up.weight)


@pytest.mark.parametrize("mlp", options("mlp"))
def test_every_matrix_has_a_stream_of_its_own(mlp: str) -> None:
    model = gpt(mlp=mlp)
    begins = [begin for own in model.parameters_by_role() for begin in _begins(own)]
    inside = (part for part in model.blocks[0].mlp.modules() if isinstance(part, Part))
    matrices = sum(len(list(own.matrices())) for part in inside for own in part.parameters_by_role())
    assert len(set(begins)) == len(begins) == 1 + 1 + TINY.n_layers * (3 + 1 + matrices)


def _begins(own: Declared) -> Iterator[float]:
    """The first number of every matrix that a parameter holds, fused or stacked."""
    if own.role is Role.VECTOR:
        return
    for fused in own.split(own.parameter):
        for weight in fused.reshape(-1, *fused.shape[-2:]):
            yield round(weight.flatten()[0].item() / weight.std().item(), 4)


@pytest.mark.parametrize("mlp", options("mlp"))
@pytest.mark.parametrize("attention", options("attention"))
def test_scale_of_the_weights(attention: str, mlp: str) -> None:
    dims = replace(TINY, d_model=128, seq_len=64, vocab_size=256)
    model = gpt(dims, attention=attention, mlp=mlp, norm="ln")
    for (name, parameter), own in zip(model.named_parameters(), model.parameters_by_role(), strict=True):
        if ".factor_" in name:  # of differential attention, whose vectors are drawn
            assert 0.02 < parameter.std().item() < 0.2, name
        elif own.role is Role.VECTOR:
            assert set(parameter.flatten().tolist()) == ({1.0} if name.endswith("gain") else {0.0}), name
        if own.role is Role.VECTOR:
            continue
        if "_summary." in name:  # of sparse attention, which makes keys and values of keys and values
            assert parameter.std().item() == pytest.approx(1 / math.sqrt(3 * parameter.shape[1]), rel=0.1), name
            continue
        writes_residual = name.endswith((".out.weight", ".down.weight"))
        std = STD / math.sqrt(2 * dims.n_layers) if writes_residual else STD
        assert parameter.std().item() == pytest.approx(std, rel=0.05), name
        assert abs(parameter.mean().item()) < 5 * std / math.sqrt(parameter.numel()), name


@pytest.mark.parametrize(("axis", "case"), [pytest.param("norm", part("norm", "none"), id="baseline"), *CHANGES])
def test_decay_groups(axis: str, case: dict[str, Any]) -> None:
    model = gpt(**{axis: case}, **beside(axis, case))
    declared = model.parameters_by_role()
    decayed = [own.parameter for own in declared if own.decayed]
    rest = [own.parameter for own in declared if not own.decayed]
    in_groups = [id(parameter) for parameter in (*decayed, *rest)]
    assert len(in_groups) == len(set(in_groups)), "disjoint"
    assert set(in_groups) == {id(parameter) for parameter in model.parameters()}, "complete"
    assert all(list(own.matrices()) for own in declared if own.decayed), "matrices, one or many in a tensor"
    assert not any(list(own.matrices()) for own in declared if not own.decayed)
