"""Losses that only a deliberate change may move; `make golden` measures them again."""

from __future__ import annotations

import json
from itertools import combinations

import pytest

from tests.golden.measure import BOUND, CASES, FILE, WIDER, kept, losses

GOLDEN = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def test_every_option_has_a_golden_curve() -> None:
    assert GOLDEN.keys() == CASES.keys(), "run `make golden`"


@pytest.mark.parametrize("case", CASES)
def test_losses_are_golden(case: str) -> None:
    assert losses(case) == pytest.approx(GOLDEN[case], rel=WIDER.get(case, BOUND))


ALIKE_AT_FIRST = {"mlp=geglu", "mlp=swiglu"}
"""From weights this small both gates are a straight line; tests/model/test_references.py tells them apart."""


def test_golden_curves_tell_the_options_apart() -> None:
    """Except kernels, which compute the same function."""
    curves = dict(GOLDEN)
    assert curves.pop("kernel=flash") == pytest.approx(curves["ln"], rel=BOUND)
    for one, other in combinations(curves, 2):
        if {one, other} == ALIKE_AT_FIRST:
            continue
        assert curves[one] != pytest.approx(curves[other], rel=BOUND), (one, other)


def test_only_what_moved_is_written() -> None:
    """A curve that another processor gives in other last digits stays as it is."""
    before = [4.5, 3.25]
    assert kept(before, [4.5, 3.25 * (1 + 2.3e-5)]) is before
    assert kept(before, [4.5, 3.25 * 1.001]) == [4.5, 3.25 * 1.001]
    assert kept(before, [4.5]) == [4.5]
    assert kept(None, [4.5]) == [4.5]
