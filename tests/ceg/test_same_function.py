"""A variant is an A/A arm by its settings, knobs included."""

import pytest

from algoprog.ceg.pairs.same_function import execution_only

BASE = {"norm": "none", "mlp": "gelu", "kernel": "math"}
FLASH = {**BASE, "kernel": "flash"}


@pytest.mark.parametrize(
    ("variant", "axes", "same"),
    [
        ("flash", FLASH, True),
        ("flash(backend=cudnn)", FLASH, True),
        ("math(chunk=1e+06)", BASE, True),
        ("none", BASE, False),
        ("gelu(expansion=8.0)+flash", FLASH, False),
        ("gelu(expansion=1e+01)", BASE, False),
        ("ln+flash", {**FLASH, "norm": "ln"}, False),
        ("flash", {}, False),
    ],
)
def test_a_turned_knob_is_another_function(variant, axes, same):
    assert execution_only(variant, axes, "none", BASE) is same


def test_knobs_that_the_baseline_has_too_make_no_difference():
    assert execution_only("gelu(expansion=8.0)+flash", FLASH, "gelu(expansion=8.0)", BASE)
    assert not execution_only("flash", FLASH, "gelu(expansion=8.0)", BASE)
    assert not execution_only("flash", FLASH, "none", {})
