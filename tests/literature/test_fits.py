"""Gundlach's fits: their own numbers come out, and an exponent moves them a lot."""

import pytest

from algoprog.literature.fits import extrapolated_gain, laws, product_and_joint, sensitivity
from algoprog.literature.rows import load


def test_the_quoted_extrapolations_follow_from_the_fits():
    fits, change = load("gundlach")["fits"], sensitivity()
    assert round(change.gain) == fits["quoted_gain"] == 31840
    assert round(change.shifted_gain) == fits["quoted_shifted_gain"] == 4918
    assert change.shifted_gain_same_a == pytest.approx(326, abs=0.5)


@pytest.mark.parametrize(("year", "gain"), [(2023, 726.15 * 3.71), (2025, 8339.21)])
def test_the_authors_gains_of_the_2017_transformer_come_out(year, gain):
    """numbers.txt of the authors' code: transformer times rebalancing, at 1e16 FLOPs in 2013 and 4.1 times a year."""
    law = laws()
    frontier = 1e16 * 4.1 ** (year - 2013)
    assert extrapolated_gain(law["lstm"], law["transformer-2017"], frontier) == pytest.approx(gain, rel=2e-3)


def test_a_law_inverts_itself_and_hinges_where_it_is_told_to():
    law = laws()["lstm"]
    assert law.flops(law.loss(1e18)) == pytest.approx(1e18)
    moved = law.hinged(-0.005, 1e16)
    assert moved.alpha == pytest.approx(-0.070)
    assert moved.loss(1e16) == pytest.approx(law.loss(1e16))
    assert moved.loss(1e20) < law.loss(1e20)
    with pytest.raises(ValueError, match=r"name a loss above its floor of 1\.9"):
        law.flops(1.9)


def test_single_gains_do_not_multiply():
    product, joint = product_and_joint()
    assert product == pytest.approx(3.572, abs=1e-3)
    assert joint == 1.33
