"""Sequences beyond the trained context: rotations against transformers (5.24), and steps as the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from algoprog.model.interface.places import FromTheStart
from algoprog.model.interface.site import Site
from algoprog.model.pos.rope import RotaryPosition
from algoprog.model.rotation import SCALINGS
from tests.configs import TINY, assert_same, beside, gpt, options, part, shaken, tokens
from tests.model.test_flops import label
from tests.model.test_steps import by_steps
from tests.reference import reference

TRAINED = 64
DIMS = replace(TINY, d_model=64, n_heads=2, seq_len=TRAINED)  # heads of 32 features
THEIR_NAMES = {"none": "default", "linear": "linear", "ntk": "dynamic", "yarn": "yarn"}

CASES: list[dict[str, Any]] = [
    *({"pos": part("pos", pos)} for pos in options("pos") if pos not in ("learned", "rope")),
    *({"pos": part("pos", "rope", scaling=scaling)} for scaling in SCALINGS),
    {"attention": part("attention", "window", window=5, every=2), "pos": part("pos", "alibi")},
    {"attention": part("attention", "window", window=14), "pos": part("pos", "rope")},
    {"attention": part("attention", "sparse"), "pos": part("pos", "t5_bias")},
    {"attention": part("attention", "sparse", window=16), "pos": part("pos", "rope", scaling="yarn")},
    *({"attention": part("attention", attention), "pos": part("pos", "none")} for attention in options("attention")),
    *(
        {"mixer": part("mixer", mixer), "pos": part("pos", "none")}
        for mixer in options("mixer")
        if mixer != "attention"
    ),
    {"backbone": part("backbone", "lstm")},
]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize(("theta", "ratio"), [(10000.0, 2), (10000.0, 4), (100.0, 2), (500.0, 1.5)])
def test_scaled_rotations_are_llama_s(scaling: str, theta: float, ratio: float) -> None:
    """The factor of theirs is the ratio of the lengths; their dynamic base takes it from the sequence."""
    rope = {"rope_type": THEIR_NAMES[scaling], "rope_theta": theta, "factor": 1.0 if scaling == "ntk" else ratio}
    rope |= {"original_max_position_embeddings": TRAINED} if scaling == "yarn" else {}
    config = reference("transformers.models.llama.configuration_llama").LlamaConfig(
        hidden_size=64, num_attention_heads=2, max_position_embeddings=TRAINED, rope_parameters=rope
    )
    module, length = reference("transformers.models.llama.modeling_llama"), int(ratio * TRAINED)
    q, k = (torch.randn(1, 2, length, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    tables = module.LlamaRotaryEmbedding(config)(q, torch.arange(length)[None])
    own = RotaryPosition(Site.shared(DIMS), theta=theta, fraction=1.0, scaling=scaling)
    expected = module.apply_rotary_pos_emb(q, k, *tables)
    torch.testing.assert_close(own.rotate(q, k, FromTheStart(length)), expected, rtol=1e-5, atol=3e-5)


def test_a_fraction_is_scaled_by_its_own_width() -> None:
    """The pairs that are turned are those of a narrower head."""
    narrow = replace(DIMS, d_model=32)
    x = torch.randn(1, 2, 128, 32, dtype=torch.float64)
    for scaling in SCALINGS:
        half = RotaryPosition(Site.shared(DIMS), theta=100.0, fraction=0.5, scaling=scaling)
        whole = RotaryPosition(Site.shared(narrow), theta=100.0, fraction=1.0, scaling=scaling)
        turned, _ = half.rotate(x, x, FromTheStart(128))
        first, _ = whole.rotate(x[..., :16], x[..., :16], FromTheStart(128))
        assert_same(turned, torch.cat((first, x[..., 16:]), dim=-1))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_within_the_context_nothing_is_scaled(scaling: str) -> None:
    x = torch.randn(1, 2, TRAINED, 32)
    plain, own = (RotaryPosition(Site.shared(DIMS), theta=100.0, fraction=1.0, scaling=s) for s in ("none", scaling))
    for n in (1, TRAINED):
        cut = x[:, :, :n]
        assert own.rotate(cut, cut, FromTheStart(n))[0].equal(plain.rotate(cut, cut, FromTheStart(n))[0])
    longer = torch.cat((x, x[:, :, :1]), dim=2)
    beyond = [rope.rotate(longer, longer, FromTheStart(TRAINED + 1))[0] for rope in (plain, own)]
    assert beyond[0].equal(beyond[1]) == (scaling == "none")


def test_two_features_have_one_wavelength_that_no_base_changes() -> None:
    narrow = Site.shared(replace(DIMS, d_model=4))
    x = torch.randn(1, 2, 128, 2)
    plain, own = (RotaryPosition(narrow, theta=100.0, fraction=1.0, scaling=scaling) for scaling in ("none", "ntk"))
    assert own.rotate(x, x, FromTheStart(128))[0].equal(plain.rotate(x, x, FromTheStart(128))[0])


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"scaling": "dynamic"}, r"pos\.scaling=dynamic must be none, linear, ntk or yarn"),
        ({"scaling": "yarn", "theta": 1.0}, r"pos\.theta=1\.0 must be above 1"),
    ],
)
def test_impossible_scalings_are_refused(knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        gpt(pos=part("pos", "rope", **knobs))


@pytest.mark.parametrize("parts", CASES, ids=lambda parts: "+".join(map(label, parts.values())))
@torch.no_grad()
def test_steps_say_what_the_whole_says_of_twice_the_context(parts: dict[str, Any]) -> None:
    """A state's room says how long the sequence will be, by which positions are scaled from the first on."""
    model, x = shaken(gpt(**parts, **beside(*next(iter(parts.items()))))), tokens(1, seq_len=2 * TINY.seq_len)
    if model.bounded_by:
        pytest.skip(model.bounded_by)
    whole = model(x)
    for cuts in ((3, 17), (13, 14)):
        assert_same(by_steps(model, x, cuts), whole)
    changed = x.clone()
    changed[0, 20] = (changed[0, 20] + 1) % TINY.vocab_size
    assert_same(model(changed)[:, :20], whole[:, :20])


def test_learned_positions_end_with_the_context() -> None:
    with pytest.raises(ValueError, match="no room for 14 positions, for pos=learned has vectors for the positions of"):
        gpt().new_state(1, 14)
    assert gpt().new_state(1, 13).capacity == 13
    assert gpt(backbone="lstm").bounded_by is gpt(pos="rope").bounded_by is None
