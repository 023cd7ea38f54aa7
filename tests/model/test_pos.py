"""Where a token stands."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from algoprog.model.init import STD
from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.site import Site
from algoprog.model.pos.alibi import AlibiPosition
from algoprog.model.pos.learned import LearnedPosition
from algoprog.model.pos.none import NoPosition
from algoprog.model.pos.rope import RotaryPosition
from algoprog.model.pos.sinusoidal import SinusoidalPosition
from algoprog.model.pos.t5_bias import T5Bias
from tests.configs import SITE, TINY, assert_same, beside_each_other, cases, context, gpt, options, part, shaken, tokens
from tests.model.test_flops import label
from tests.reference import reference

DIMS = replace(TINY, d_model=32, seq_len=20)  # heads of 8 features


TABLE = 2 * torch.finfo(torch.float32).eps
"""Cosine and sine are kept in float32: what a turned pair of features may be off by, relative to its length."""


POSITIONED = [case for case in cases("attention") if beside_each_other("attention", case, "pos")]
"""Kinds of attention that leave positions to the axis `pos`."""

ONE_SOFTMAX = [case for case in POSITIONED if label(case).split("(")[0] not in ("differential", "nsa")]
"""Those of them that give what one softmax mixes."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(theta: float = 100.0, n: int = 20) -> Tensor:
    """Products of one query vector and one key vector put at every position."""
    q, k = (random(1, 1, 1, DIMS.d_head, seed=s) for s in (0, 1))
    q, k = RotaryPosition(Site.shared(DIMS), theta=theta, fraction=1.0, scaling="none").rotate(
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
    turned, _ = RotaryPosition(Site.shared(DIMS), theta=theta, fraction=1.0, scaling="none").rotate(
        x, x, FromTheStart(20)
    )
    angle = torch.arange(20)[:, None] * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    turn = torch.polar(torch.ones_like(angle), angle)
    expected = torch.complex(x[..., :half], x[..., half:]) * turn
    length = x.norm(dim=-1)
    assert ((turned - torch.cat((expected.real, expected.imag), dim=-1)).norm(dim=-1) <= TABLE * length).all()
    assert ((turned.norm(dim=-1) - length).abs() <= TABLE * length).all()
    assert turned[:, :, 0].equal(x[:, :, 0])


def test_rope_turns_queries_and_keys_alike_and_embeds_nothing() -> None:
    rope, x = (
        RotaryPosition(Site.shared(DIMS), theta=100.0, fraction=1.0, scaling="none"),
        torch.randn(1, 2, 20, DIMS.d_head),
    )
    q, k = rope.rotate(x, x, FromTheStart(20))
    assert q.equal(k)
    h = torch.randn(1, 20, DIMS.d_model)
    assert rope.embed(h, FromTheStart(20)) is h


@pytest.mark.parametrize(("fraction", "width"), [(0.25, 2), (0.5, 4), (0.6, 4), (0.01, 2), (1.0, 8)])
def test_a_fraction_is_turned_as_by_gpt_neox(fraction: float, width: int) -> None:
    own = RotaryPosition(Site.shared(DIMS), theta=100.0, fraction=fraction, scaling="none")
    q, k = (random(2, 3, 20, DIMS.d_head, seed=s).float() for s in (0, 1))
    assert own.cos.shape == (20, width)
    theirs = reference("transformers.models.gpt_neox.modeling_gpt_neox").apply_rotary_pos_emb
    expected = theirs(q, k, own.cos[None], own.sin[None])
    torch.testing.assert_close(own.rotate(q, k, FromTheStart(20)), expected, rtol=1e-5, atol=1e-6)
    assert own.rotate(q, k, FromTheStart(20))[0][..., width:].equal(q[..., width:])


@pytest.mark.parametrize("fraction", [0.0, 1.5])
def test_impossible_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"pos=rope: pos\.fraction={fraction} must be above 0"):
        gpt(pos=part("pos", "rope", fraction=fraction))


def test_rope_needs_even_heads() -> None:
    with pytest.raises(ValueError, match=r"pos=rope needs heads of even width.*gives 3"):
        gpt(replace(TINY, d_model=12), pos="rope")


@pytest.mark.parametrize("pos", options("pos"))
def test_only_learned_positions_have_weights(pos: str) -> None:
    assert bool(list(gpt(pos=pos).pos.parameters())) == (pos in ("learned", "t5_bias"))


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


@pytest.mark.parametrize("pos", [pos for pos in options("pos") if pos != "none"])
def test_positions_know_the_order(pos: str) -> None:
    model, x = shaken(gpt(pos=pos)), tokens(1)
    turned = torch.cat((x[:, :-1].flip(1), x[:, -1:]), dim=1)
    with torch.no_grad():
        model.blocks = model.blocks[:1]
        assert (model(x)[:, -1] - model(turned)[:, -1]).abs().max() > 1e-2


def test_alibi_subtracts_the_distance_times_a_slope() -> None:
    """Slopes of eight heads are those of the paper; a query's own key is not moved."""
    alibi = AlibiPosition(Site.shared(replace(TINY, n_heads=8, d_model=16)))
    at = torch.arange(5)
    bias = alibi.bias(at, at)
    assert bias.shape == (8, 5, 5)
    for head in range(8):
        for i in range(5):
            assert bias[head, i, : i + 1].tolist() == [-(i - j) * 2.0 ** -(head + 1) for j in range(i + 1)]
    x = torch.randn(1, 5, TINY.d_model)
    assert alibi.embed(x, FromTheStart(5)) is x


@pytest.mark.parametrize("n_heads", [1, 2, 3, 6, 8, 12, 13, 20])
def test_alibi_is_bloom_s(n_heads: int) -> None:
    """Theirs counts from the first key, ours from the query, which a softmax does not see."""
    bloom = reference("transformers.models.bloom.modeling_bloom")
    theirs = bloom.build_alibi_tensor(torch.ones(1, 7), n_heads, torch.float32)
    at = torch.arange(7)
    ours = AlibiPosition(Site.shared(replace(TINY, n_heads=n_heads, d_model=n_heads))).bias(at, at)
    torch.testing.assert_close(ours.softmax(dim=-1), theirs.expand(-1, 7, -1).softmax(dim=-1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kernel", options("kernel"))
@pytest.mark.parametrize("attention", ONE_SOFTMAX, ids=label)
def test_alibi_is_a_bias_of_every_attention(attention: dict[str, Any], kernel: str) -> None:
    """Whatever keys an attention visits in which order: against all products, written out."""
    model = shaken(gpt(attention=attention, pos="alibi", kernel=kernel))
    layer, there = model.blocks[0].attention, context(model, TINY.seq_len)
    x = random(2, TINY.seq_len, TINY.d_model)
    q, k, v = layer._projected(x, there)
    k, v = (part.repeat_interleave(TINY.n_heads // part.shape[1], dim=1) for part in (k, v))
    at = torch.arange(TINY.seq_len)
    slopes = torch.tensor([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]).double()
    scores = q @ k.transpose(-1, -2) / 2 - slopes[:, None, None] * (at[:, None] - at)
    weights = scores.masked_fill(~layer.mask(TINY.seq_len), -torch.inf).softmax(dim=-1)
    assert_same(layer(x, there), layer._written(weights @ v, x))


@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (16, 64), (8, 20), (2, 9)])
def test_learned_biases_are_t5_s(buckets: int, max_distance: int) -> None:
    """Their decoder's, bucket by bucket, for contexts far beyond the largest distance."""
    theirs = reference("transformers.models.t5.modeling_t5").T5Attention._relative_position_bucket
    own = T5Bias(Site.shared(TINY), buckets=buckets, max_distance=max_distance)
    with torch.no_grad():
        own.table.copy_(torch.arange(buckets).expand(TINY.n_heads, -1))
    at = torch.arange(300)
    expected = theirs(at[None] - at[:, None], bidirectional=False, num_buckets=buckets, max_distance=max_distance)
    assert own.bias(at, at)[1].equal(expected.float())


@pytest.mark.parametrize(("knobs", "word"), [({"buckets": 7}, "buckets=7"), ({"max_distance": 8}, "max_distance=8")])
def test_impossible_buckets_are_refused(knobs: dict[str, int], word: str) -> None:
    with pytest.raises(ValueError, match=rf"pos=t5_bias: pos\.{word}"):
        gpt(pos=part("pos", "t5_bias", **knobs))


@pytest.mark.parametrize("d_model", [16, 15])
def test_sinusoids_are_those_of_the_paper(d_model: int) -> None:
    """PE(pos, 2i) = sin(pos / theta^(2i / d)), PE(pos, 2i + 1) = cos of the same, `scale` times."""
    site = Site.shared(replace(TINY, d_model=d_model, n_heads=1))
    x = random(2, 9, d_model)
    added = SinusoidalPosition(site, theta=100.0, scale=0.5).double().embed(x, FromTheStart(9)) - x
    for at in range(9):
        for feature in range(d_model):
            wave = (math.sin, math.cos)[feature % 2]
            expected = 0.5 * wave(at / 100 ** (feature // 2 * 2 / d_model))
            assert added[1, at, feature].item() == pytest.approx(expected, abs=TABLE)


def test_sinusoids_are_ctrl_s() -> None:
    """Whose sines stand before the cosines."""
    ctrl = reference("transformers.models.ctrl.modeling_ctrl")
    theirs = ctrl.positional_encoding(TINY.seq_len, TINY.d_model, torch.float32)
    ours = SinusoidalPosition(SITE, theta=10000.0, scale=1.0).table
    torch.testing.assert_close(torch.cat((ours[:, 0::2], ours[:, 1::2]), dim=1), theirs, rtol=1e-5, atol=1e-6)


def test_sinusoids_stand_to_embeddings_as_in_the_paper() -> None:
    """Both begin a fiftieth as large as there: the amplitude is the standard deviation of an embedding."""
    assert gpt(pos="sinusoidal").pos.table.max().item() == pytest.approx(STD)


@pytest.mark.parametrize("knob", ["theta", "scale"])
def test_sinusoids_without_waves_are_refused(knob: str) -> None:
    with pytest.raises(ValueError, match=rf"pos=sinusoidal: pos.{knob}=0.0 must be above 0"):
        gpt(pos=part("pos", "sinusoidal", **{knob: 0.0}))
