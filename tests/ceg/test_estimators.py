"""The other three estimators on curves they suit, and all five on one table."""

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.fit.law import bootstrap, fit_law
from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.simulate.curves import World


def pair(gain: float, world: World | None = None) -> tuple[Curve, Curve]:
    rng = np.random.default_rng(3)
    world = world or World(noise=0.0005, evaluations=401, told=True)
    return world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("gain", [0.6, 1.3, 2.5])
def test_every_estimator_finds_a_gain_that_is_easy_to_see(name, gain):
    estimate = ESTIMATORS[name](*pair(gain), "flops", "final")
    assert np.exp(estimate.log_gain) == pytest.approx(gain, rel=0.05)
    assert 0 < estimate.log_sd < 0.3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_gives_one_for_the_same_run(name):
    base, _ = pair(1.0)
    estimate = ESTIMATORS[name](base, base, "flops", "final")
    assert (estimate.log_gain, estimate.log_sd) == (0.0, 0.0)


def test_all_estimators_stand_on_one_table():
    rows = compute_gains(pair(2.0), estimators=tuple(ESTIMATORS), costs=("flops",))
    assert [row.estimator for row in rows if row.variant == "arm"] == list(ESTIMATORS)


def test_extrapolation_is_flagged_by_the_estimators_that_use_a_law():
    base, arm = pair(2.0)
    assert "extrapolated" in ESTIMATORS["effective_speedup"](base, arm, "flops", "final").flags
    assert ESTIMATORS["scaling_fit"](base, arm, "flops", "final").flags == ()
    assert "extrapolated" in ESTIMATORS["scaling_fit"](*pair(0.5), "flops", "final").flags


def test_closest_row_is_the_nearest_logged_cost():
    steps = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    base = Curve("none", "m", 0, np.array([5.0, 4.0, 3.5, 3.2, 3.0]), {"steps": steps})
    arm = replace(base, variant="arm", val_loss=np.array([4.0, 3.3, 3.08, 2.9, 2.8]))
    assert np.exp(ESTIMATORS["closest_row"](base, arm, "steps", "final").log_gain) == pytest.approx(5 / 3)


def test_law_recovers_its_parameters_and_the_bootstrap_surrounds_them():
    cost = np.geomspace(1e15, 1e19, 12)
    noise = 1 + 0.001 * np.random.default_rng(0).normal(size=12)
    loss = (1.9 + 36.3 * cost**-0.065) * noise
    law = fit_law(cost, loss)
    exponents = [sample.exponent for sample in bootstrap(law, cost, loss, 200)]
    assert np.quantile(exponents, 0.02) < 0.065 < np.quantile(exponents, 0.98)
    assert law.log_cost(float(law.loss(1e20))) == pytest.approx(np.log(1e20))
    assert law.log_cost(law.floor) == np.inf


def test_law_of_two_costs_has_no_floor_and_of_one_is_refused():
    law = fit_law(np.array([1.0, 100.0]), np.array([4.0, 2.0]))
    assert law.floor == 0.0
    assert float(law.loss(10_000.0)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least two"):
        fit_law(np.array([1.0, 1.0]), np.array([4.0, 2.0]))
    assert bootstrap(law, np.array([1.0, 100.0]), np.array([4.0, 2.0]), 10) == []
