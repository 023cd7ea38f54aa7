"""Where a token stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from algoprog.model.pos.learned import LearnedPosition
from algoprog.model.pos.none import NoPosition
from algoprog.model.pos.rope import RotaryPosition
from tests.configs import TINY, gpt, options, shaken, tokens

DIMS = replace(TINY, d_model=32, seq_len=20)  # heads of 8 features


def scores(theta: float = 100.0, n: int = 20) -> Tensor:
    """Products of one query vector and one key vector put at every position."""
    q, k = (torch.randn(1, 1, 1, DIMS.d_head, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    q, k = RotaryPosition(DIMS, theta=theta).rotate(q.expand(-1, 2, n, -1), k.expand(-1, 1, n, -1))
    return (q @ k.transpose(-1, -2))[0, 0]


def test_rope_scores_depend_on_distance_alone() -> None:
    table = scores()
    for distance in range(-19, 20):
        diagonal = table.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-5)
    assert len({round(value, 4) for value in table[:, 0].tolist()}) == 20, "and they do depend on it"
    torch.testing.assert_close(scores(n=7), table[:7, :7])


def test_rope_turns_pairs_of_features_by_angles() -> None:
    theta, half = 100.0, DIMS.d_head // 2
    x = torch.randn(2, 3, 20, DIMS.d_head)
    turned, _ = RotaryPosition(DIMS, theta=theta).rotate(x, x)
    angle = torch.arange(20)[:, None] * theta ** (-torch.arange(half) / half)
    turn = torch.polar(torch.ones_like(angle), angle)
    expected = torch.complex(x[..., :half], x[..., half:]) * turn
    torch.testing.assert_close(turned, torch.cat((expected.real, expected.imag), dim=-1))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert turned[:, :, 0].equal(x[:, :, 0])


def test_rope_turns_queries_and_keys_alike_and_embeds_nothing() -> None:
    rope, x = RotaryPosition(DIMS, theta=100.0), torch.randn(1, 2, 20, DIMS.d_head)
    q, k = rope.rotate(x, x)
    assert q.equal(k)
    h = torch.randn(1, 20, DIMS.d_model)
    assert rope.embed(h) is h


def test_rope_needs_even_heads() -> None:
    with pytest.raises(ValueError, match=r"pos=rope needs heads of even width.*gives 3"):
        gpt(replace(TINY, d_model=12), pos="rope")


@pytest.mark.parametrize("pos", options("pos"))
def test_only_learned_positions_have_weights(pos: str) -> None:
    assert bool(list(gpt(pos=pos).pos.parameters())) == (pos == "learned")


def test_learned_positions_are_added() -> None:
    learned = LearnedPosition(TINY)
    x = torch.randn(2, 5, TINY.d_model)
    assert learned.embed(x).equal(x + learned.table.weight[:5])
    q = torch.randn(1, 2, 5, 4)
    assert learned.rotate(q, q)[0] is q


def test_no_positions_know_no_order() -> None:
    none, x = NoPosition(TINY), torch.randn(1, 5, TINY.d_model)
    assert none.embed(x) is x
    model, x = shaken(gpt(pos="none")), tokens(1)
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        # Two layers see the order through the causal mask; one layer does not.
        model.blocks = model.blocks[:1]
        torch.testing.assert_close(model(x)[:, -1], model(turned)[:, -1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pos", ["learned", "rope"])
def test_positions_know_the_order(pos: str) -> None:
    model, x = shaken(gpt(pos=pos)), tokens(1)
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        model.blocks = model.blocks[:1]
        assert (model(x)[:, -1] - model(turned)[:, -1]).abs().max() > 1e-2
