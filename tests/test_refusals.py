"""Pairs of options that mean nothing are refused by name, before anything is trained."""

from __future__ import annotations

import pytest

from algoprog import build
from algoprog.axes import MODEL
from algoprog.baseline import compared
from algoprog.refusals.pairs import refuse
from algoprog.run.spec import priced
from algoprog.variant import variant
from tests.configs import compose


class Recurrent:
    """Stands where a backbone would that has no positions."""

    axes = frozenset({"norm", "final_norm"})


RECURRENT = {"_target_": f"{__name__}.Recurrent", "_partial_": True}


@pytest.mark.parametrize("block", ["post", "sandwich"])
def test_the_place_of_no_norm_is_refused(block: str) -> None:
    config = compose(f"block={block}")
    with pytest.raises(ValueError, match=f"block={block} with norm=none is the same function as block=pre"):
        priced(config, build.tokens(config))
    refuse(compose(f"block={block}", "norm=ln"))


def test_blocks_that_differ_without_a_norm_are_trained() -> None:
    refuse(compose("block=parallel"))


def test_an_axis_that_the_backbone_has_not_is_refused_where_it_was_chosen() -> None:
    config = {**compose("pos=rope"), "backbone": RECURRENT}
    with pytest.raises(ValueError, match="pos=rope means nothing under backbone=test_refusals, without pos"):
        refuse(config)


def test_an_axis_that_the_backbone_has_not_is_in_no_name() -> None:
    config = {**compose(), "backbone": RECURRENT}
    refuse(config)
    assert variant(config) == "test_refusals"
    assert "pos" not in compared(config)
    assert {"norm", "final_norm", "optim"} <= {*compared(config)}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("mixer=gated_deltanet", "attention=mqa"),
            "attention=mqa means nothing under mixer=gated_deltanet, which looks",
        ),
        (
            ("mixer=gated_deltanet", "kernel=flash"),
            "kernel=flash means nothing under mixer=gated_deltanet, which has no",
        ),
        (("mixer=gated_deltanet", "pos=rope"), "pos=rope means nothing under mixer=gated_deltanet, whose recurrence"),
        (("mixer=gated_deltanet", "attention=mla"), "attention=mla means nothing under mixer=gated_deltanet"),
        (("mixer=gated_deltanet", "backbone=lstm"), "mixer=gated_deltanet means nothing under backbone=lstm, without"),
        (("attention=mla", "pos=alibi"), "pos=alibi means nothing under attention=mla, which turns a part of every"),
        (("attention=mla", "baseline=llama", "pos.theta=500"), "pos.theta=500 means nothing under attention=mla"),
        (
            ("mixer=gated_deltanet", "sinks=learned"),
            "sinks=learned means nothing under mixer=gated_deltanet, which has",
        ),
        (("attention=mla", "norm@qk_norm=ln"), "qk_norm=ln means nothing under attention=mla, whose keys are read"),
        (("attention=nsa", "sinks=learned"), "sinks=learned means nothing under attention=nsa, whose gates let"),
        (("mixer=rwkv7", "attention=nsa"), "attention=nsa means nothing under mixer=rwkv7, which looks at no keys"),
        (("mixer=mamba2", "norm@qk_norm=ln"), "qk_norm=ln means nothing under mixer=mamba2, whose keys and queries"),
        (("backbone=lstm", "mlp.expansion=2"), "mlp.expansion=2 means nothing under backbone=lstm, without mlp"),
    ],
)
def test_what_an_option_leaves_no_meaning_is_refused(words: tuple[str, ...], sentence: str) -> None:
    config = compose(*words)
    with pytest.raises(ValueError, match=sentence):
        priced(config, build.tokens(config))


SOFTMAX = ("qk_norm", "output_gate", "sinks", "softcap")


@pytest.mark.parametrize(
    ("words", "name", "without"),
    [
        (("mixer=gated_deltanet",), "gated_deltanet", {"attention", "pos", "kernel", *SOFTMAX}),
        (("mixer=gated_deltanet", "baseline=llama"), "gated_deltanet", {"attention", "pos", "kernel", *SOFTMAX}),
        (("mixer=gated_deltanet", "mixer.conv_width=2", "block=parallel"), "parallel+gated_deltanet(conv_width=2)",
         {"attention", "pos", "kernel", *SOFTMAX}),
        (("attention=mla", "baseline=llama"), "mla", {"pos", "qk_norm"}),
        (("attention=mla", "attention.q_rank=0.5", "kernel=flash"), "mla(q_rank=0.5)+flash", {"pos", "qk_norm"}),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_in_no_name_and_no_record(words: tuple[str, ...], name: str, without: set[str]) -> None:
    config = compose(*words)
    refuse(config)
    assert variant(config) == name
    assert set(MODEL) - set(build.axes_of(config)) == without


def test_an_option_that_has_moved_since_says_nothing_of_others() -> None:
    """Configurations of old runs are still read."""
    config = {**compose(), "attention": {"_target_": "algoprog.elsewhere.LatentAttention", "_partial_": True}}
    assert "pos" in compared(config)
    former = {axis: part for axis, part in compose().items() if axis not in ("mixer", "backbone", "block")}
    assert variant(former) == "none"
