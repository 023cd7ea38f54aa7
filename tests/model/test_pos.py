"""Where a token stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.site import Site
from algoprog.model.pos.learned import LearnedPosition
from algoprog.model.pos.none import NoPosition
from algoprog.model.pos.rope import RotaryPosition
from tests.configs import SITE, TINY, assert_same, gpt, options, shaken, tokens

DIMS = replace(TINY, d_model=32, seq_len=20)  # heads of 8 features


TABLE = 2 * torch.finfo(torch.float32).eps
"""Cosine and sine are kept in float32: what a turned pair of features may be off by, relative to its length."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(theta: float = 100.0, n: int = 20) -> Tensor:
    """Products of one query vector and one key vector put at every position."""
    q, k = (random(1, 1, 1, DIMS.d_head, seed=s) for s in (0, 1))
    q, k = RotaryPosition(Site.shared(DIMS), theta=theta).rotate(
        q.expand(-1, 2, n, -1), k.expand(-1, 1, n, -1), FromTheStart(n)
    )
    return (q @ k.transpose(-1, -2))[0, 0]


def test_rope_scores_depend_on_distance_alone() -> None:
    table = scores()
    q, k = (random(1, 1, 1, DIMS.d_head, seed=s).norm().item() for s in (0, 1))
    bound = 4 * TABLE * q * k  # two scores, each of two turned vectors
    for distance in range(-19, 20):
        diagonal = table.diagonal(distance)
        assert (diagonal - diagonal[0]).abs().max() <= bound
    assert len({round(value, 4) for value in table[:, 0].tolist()}) == 20, "and they do depend on it"
    assert_same(scores(n=7), table[:7, :7])


def test_rope_turns_pairs_of_features_by_angles() -> None:
    theta, half = 100.0, DIMS.d_head // 2
    x = random(2, 3, 20, DIMS.d_head)
    turned, _ = RotaryPosition(Site.shared(DIMS), theta=theta).rotate(x, x, FromTheStart(20))
    angle = torch.arange(20)[:, None] * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    turn = torch.polar(torch.ones_like(angle), angle)
    expected = torch.complex(x[..., :half], x[..., half:]) * turn
    length = x.norm(dim=-1)
    assert ((turned - torch.cat((expected.real, expected.imag), dim=-1)).norm(dim=-1) <= TABLE * length).all()
    assert ((turned.norm(dim=-1) - length).abs() <= TABLE * length).all()
    assert turned[:, :, 0].equal(x[:, :, 0])


def test_rope_turns_queries_and_keys_alike_and_embeds_nothing() -> None:
    rope, x = RotaryPosition(Site.shared(DIMS), theta=100.0), torch.randn(1, 2, 20, DIMS.d_head)
    q, k = rope.rotate(x, x, FromTheStart(20))
    assert q.equal(k)
    h = torch.randn(1, 20, DIMS.d_model)
    assert rope.embed(h, FromTheStart(20)) is h


def test_rope_needs_even_heads() -> None:
    with pytest.raises(ValueError, match=r"pos=rope needs heads of even width.*gives 3"):
        gpt(replace(TINY, d_model=12), pos="rope")


@pytest.mark.parametrize("pos", options("pos"))
def test_only_learned_positions_have_weights(pos: str) -> None:
    assert bool(list(gpt(pos=pos).pos.parameters())) == (pos == "learned")


def test_learned_positions_are_added() -> None:
    learned = shaken(LearnedPosition(SITE))  # its memory is not written before
    x = random(2, 5, TINY.d_model)
    assert learned.embed(x, FromTheStart(5)).equal(x + learned.table.weight[:5])
    q = torch.randn(1, 2, 5, 4)
    assert learned.rotate(q, q, FromTheStart(5))[0] is q


def test_no_positions_know_no_order() -> None:
    none, x = NoPosition(SITE), torch.randn(1, 5, TINY.d_model)
    assert none.embed(x, FromTheStart(5)) is x
    model, x = shaken(gpt(pos="none")), tokens(1)
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        # Two layers see the order through the causal mask; one layer does not.
        model.blocks = model.blocks[:1]
        assert_same(model(x)[:, -1], model(turned)[:, -1])


@pytest.mark.parametrize("pos", ["learned", "rope"])
def test_positions_know_the_order(pos: str) -> None:
    model, x = shaken(gpt(pos=pos)), tokens(1)
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        model.blocks = model.blocks[:1]
        assert (model(x)[:, -1] - model(turned)[:, -1]).abs().max() > 1e-2
