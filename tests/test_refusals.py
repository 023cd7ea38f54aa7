"""Pairs of options that mean nothing are refused by name, before anything is trained."""

from __future__ import annotations

import pytest

from algoprog import build
from algoprog.baseline import compared
from algoprog.refusals import refuse
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
        build.spec(config, build.tokens(config))
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
