"""Screening at the level of ln CEG: what `make screening-accuracy` measures at length."""

import math

import numpy as np
import pytest

from algoprog.ceg.screening.decide import decided, errors_of
from algoprog.ceg.screening.rule import DROPPED, KEPT, SPENDING, Screen
from algoprog.ceg.screening.spending import FUNCTIONS, levels
from algoprog.ceg.seeds.sample import Error, Paired
from algoprog.ceg.simulate.screening import Screening, rates

SCREEN = Screen(gate=1.05, looks=(2, 3, 5), error=0.1, spending="obrien_fleming")
GATE = math.log(SCREEN.gate)


def test_the_spending_functions_are_those_of_lan_and_demets():
    assert FUNCTIONS["obrien_fleming"](0.025, 0.5) == pytest.approx(0.00153, abs=5e-6)  # their table for alpha 0.025
    assert FUNCTIONS["pocock"](0.025, 0.5) == pytest.approx(0.0155, abs=5e-5)
    for spend in FUNCTIONS.values():
        assert spend(0.1, 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize("spending", SPENDING)
def test_the_levels_of_all_looks_and_models_add_up_to_the_error(spending):
    found = levels((2, 3, 5), 0.1, spending)
    assert sum(found) == pytest.approx(0.1)
    assert min(found) > 0
    screen = Screen(1.05, (2, 3, 5), 0.1, spending)
    assert sum(3 * level for level in screen.levels(3)) == pytest.approx(0.1)


def test_a_mean_is_dropped_by_the_worst_of_its_errors():
    sample = Paired({0: -0.1, 1: -0.1})
    narrow, wide = Error(0.01, math.inf), Error(0.2, math.inf)
    outcome, _, high, p = decided(sample, [narrow], gate=1.05, level=0.05)
    assert (outcome, p) == (DROPPED, narrow.p_below(-0.1 - GATE))
    assert high == pytest.approx(math.exp(-0.1 + 1.6449 * 0.01), rel=1e-3)
    assert decided(sample, [narrow, wide], gate=1.05, level=0.05)[0] == KEPT
    assert decided(sample, [], gate=1.05, level=0.05) == (KEPT, "nothing shows that its gain is below 1.05", None, None)


def test_one_seed_alone_drops_nothing():
    samples = {"a": Paired({0: -5.0}), "b": Paired({0: 0.0})}
    assert errors_of(samples) == {"a": [], "b": []}


@pytest.mark.parametrize("world", [{}, {"shared": 0.0}, {"uneven": 0.3}], ids=["alike", "independent", "uneven"])
def test_a_variant_at_the_gate_is_dropped_in_at_most_a_tenth_of_sweeps(world):
    repeats, variants = 120, 8
    found = rates(Screening((GATE,) * variants, **world), SCREEN, repeats)
    assert np.mean(found.dropped) <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / repeats)


def test_what_hurts_is_dropped_what_gains_goes_on_and_compute_is_saved():
    found = rates(Screening((*(math.log(0.9),) * 6, math.log(1.25), math.log(1.25))), SCREEN, 40)
    assert min(found.dropped[:6]) == 1
    assert max(found.dropped[6:]) == 0
    assert 0.5 < found.saved < 0.75  # two of eight variants and the baseline are trained to the end
