"""Hyper-connections against the paper's algorithm in plain numpy, and what they leave as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.roles import Role
from algoprog.model.interface.site import Work
from tests.configs import TINY, assert_same, context, gpt, options, part, shaken, tokens
from tests.model.counting import counted

DEEP = replace(TINY, n_layers=3)
IN_TURN = ("pre", "reordered", "sandwich")

Array = NDArray[np.float64]


def hyper(
    dims: Dims = DEEP, *, block: str = "pre", norm: str = "ln", streams: int = 4, dynamic: bool = True
) -> Backbone:
    return gpt(dims, block=block, norm=norm, skip=part("skip", "hyper", streams=streams, dynamic=dynamic))


def width_connection(h: Array, alpha: Array, told: Array | None, scale: Array | None) -> tuple[Array, Array | None]:
    """Zhu et al. 2024, algorithm 2: mixtures of the streams of one position, and what is added to their weights.

    Args:
        h: streams x features.
        alpha: static, streams x (1 + streams).
        told: outputs x features, those of alpha first and that of beta last; None for static connections.
        scale: of both.
    """
    if told is None or scale is None:
        return alpha.T @ h, None
    norm_h = (h - h.mean(axis=-1, keepdims=True)) / np.sqrt(h.var(axis=-1, keepdims=True) + 1e-5)
    alpha = np.tanh(norm_h @ told[:-1].T) * scale[0] + alpha
    return alpha.T @ h, np.tanh(norm_h @ told[-1]) * scale[1]


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("streams", [1, 3])
def test_it_is_the_algorithm_of_the_paper(streams: int, dynamic: bool) -> None:
    model, x = shaken(hyper(streams=streams, dynamic=dynamic)), tokens(1)
    own = {name: value.detach().numpy() for name, value in model.skip.named_parameters()}
    there = context(model, x.shape[1])
    first = model.pos.embed(model.embedding(x), there.places)[0].detach().numpy()
    h = np.stack([first] * streams, axis=1)  # positions x streams x features
    sublayers = [
        sublayer
        for block in model.blocks
        for sublayer in (
            lambda given, block=block: block.attention(block.attention_norm(given), there),
            lambda given, block=block: block.mlp(block.mlp_norm(given), there),
        )
    ]
    for k, sublayer in enumerate(sublayers):
        weights = (own["told"][k], own["scale"][k]) if dynamic else (None, None)
        mixed, more = zip(*(width_connection(at, own["mixing"][k], *weights) for at in h), strict=True)
        with torch.no_grad():
            update = sublayer(torch.from_numpy(np.stack(mixed)[None, :, 0]))[0].numpy()
        beta = [own["writing"][k] + (0 if each is None else each) for each in more]
        h = np.stack([np.outer(b, u) + m[1:] for b, u, m in zip(beta, update, mixed, strict=True)])
    with torch.no_grad():
        assert_same(model(x), model.logits(torch.from_numpy(h.sum(axis=1)[None] / streams)))


@pytest.mark.parametrize("block", IN_TURN)
@pytest.mark.parametrize("streams", [1, 2, 3, 4])
def test_it_begins_as_one_stream(block: str, streams: int) -> None:
    """Whatever the weights of layers; in float64."""
    model, plain = hyper(block=block, streams=streams), shaken(gpt(DEEP, block=block, norm="ln"))
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        assert_same(model.double()(tokens(2)), plain(tokens(2)))


@pytest.mark.parametrize("final_norm", ["ln", "rmsnorm", "scalenorm"])
def test_the_mean_is_the_sum_of_the_paper_behind_a_norm(final_norm: str) -> None:
    model = shaken(gpt(DEEP, skip="hyper", norm="ln", final_norm=final_norm))
    h = 1e3 * torch.randn(1, 3, 4, DEEP.d_model, dtype=torch.float64)
    read = model.final_norm(h.sum(dim=-2)), model.final_norm(model.skip.closed(h))
    torch.testing.assert_close(*read)


def test_streams_part_ways() -> None:
    """From equal ones: what is read of each differs by sublayer."""
    model, x = hyper().train(), tokens(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
        optimizer.step()
    mixing, writing = model.skip.mixing.detach(), model.skip.writing.detach()
    assert not mixing[0, :, 1:].equal(torch.eye(4))
    assert len(set(writing[0].tolist())) > 1
    assert model.skip.told.abs().amax(dim=(1, 2)).min() > 0
    assert (model.skip.scale != 0.01).all(), "it learns from the second step"


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("streams", [1, 4])
def test_its_flops_are_those_of_its_products(streams: int, dynamic: bool) -> None:
    model, x = hyper(streams=streams, dynamic=dynamic), torch.zeros(2, 5, DEEP.d_model)
    opened = model.skip.opened(x)
    products = counted(lambda: [model.skip.joined(1, place, opened, nn.Identity()) for place in (0, 1)])
    work = Work("train", 2, 5, 5)
    assert DEEP.n_layers * products == model.skip.flops(work) == model.flops(work) - gpt(DEEP, norm="ln").flops(work)
    mixtures = streams * (streams + 1) * DEEP.d_model
    told = streams * (streams + 2) * DEEP.d_model if dynamic else 0
    assert products == 2 * 2 * 10 * (mixtures + told)


def test_parameters_by_role() -> None:
    """The static ones are not decayed, the matrices of the dynamic ones are (section 4 of the paper)."""
    model = hyper()
    declared = {id(own.parameter): own for own in model.parameters_by_role()}
    roles = {name: declared[id(value)] for name, value in model.skip.named_parameters()}
    assert {name: (own.role, own.decayed) for name, own in roles.items()} == {
        "mixing": (Role.VECTOR, False),
        "writing": (Role.VECTOR, False),
        "told": (Role.ROUTER, True),
        "scale": (Role.VECTOR, False),
    }
    assert set(roles["told"].matrices()) == {(6, DEEP.d_model)}
    sublayers = 2 * DEEP.n_layers
    assert model.n_params() - gpt(DEEP, norm="ln").n_params() == sublayers * (4 * 5 + 4 + 6 * DEEP.d_model + 2)
    assert model.state_bytes(9) == gpt(DEEP).state_bytes(9), "streams are kept of no position"


def test_streams_keep_float32_beside_products_in_bfloat16() -> None:
    model, seen = hyper(), []
    model.final_norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(tokens(1))
    assert seen == [torch.float32]


@pytest.mark.parametrize("block", [name for name in options("block") if name not in IN_TURN])
def test_blocks_that_do_not_add_in_turn_are_refused(block: str) -> None:
    with pytest.raises(ValueError, match=rf"skip=hyper weighs what .* block={block} is .* choose block=pre, sandwich"):
        hyper(block=block)


@pytest.mark.parametrize("streams", [0, -2])
def test_there_is_a_stream(streams: int) -> None:
    with pytest.raises(ValueError, match=rf"skip=hyper: skip\.streams={streams} must be at least 1"):
        hyper(streams=streams)
