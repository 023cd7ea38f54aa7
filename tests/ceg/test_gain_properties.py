"""What must hold for every pair of curves, whatever their noise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.simulate.curves import GRIDS, World

worlds = st.builds(
    World,
    schedule=st.sampled_from(("constant", "cosine")),
    grid=st.sampled_from(GRIDS),
    noise=st.floats(0.0005, 0.02),
    memory=st.floats(0.0, 0.7),
    evaluations=st.integers(20, 120),
    exponent=st.floats(0.15, 0.5),
)
seeds = st.integers(0, 2**32 - 1)
gains = st.floats(0.5, 4.0)
few = settings(max_examples=20, deadline=None)


def pair(world: World, gain: float, seed: int) -> tuple[Curve, Curve]:
    rng = np.random.default_rng(seed)
    return world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")


def scaled(curve: Curve, factor: float, axis: str = "steps") -> Curve:
    return replace(curve, costs={**curve.costs, axis: curve.costs[axis] * factor})


@few
@given(worlds, seeds, st.sampled_from([IsoLoss(), Paper()]), st.sampled_from(["final", "min"]))
def test_gain_of_the_baseline_over_itself_is_one(world, seed, estimator, target):
    base, _ = pair(world, 1.0, seed)
    assert estimator(base, base, "steps", target).log_gain == 0.0
    twin = replace(base, variant="arm")
    assert estimator(base, twin, "steps", target).log_gain == pytest.approx(0.0, abs=1e-9)


@few
@given(worlds, seeds, gains, st.floats(0.1, 10.0))
def test_k_times_the_cost_divides_the_gain_by_k(world, seed, gain, k):
    base, arm = pair(world, gain, seed)
    for estimator in (IsoLoss(), Paper()):
        one = estimator(base, arm, "flops", "final").log_gain
        other = estimator(base, scaled(arm, k, "flops"), "flops", "final").log_gain
        assert other == pytest.approx(one - np.log(k), abs=1e-6)


@few
@given(worlds, seeds, gains, st.floats(1e-9, 1e9))
def test_units_of_cost_do_not_matter(world, seed, gain, unit):
    base, arm = pair(world, gain, seed)
    for estimator in (IsoLoss(), Paper()):
        one = estimator(base, arm, "tokens", "final")
        other = estimator(*(scaled(curve, unit, "tokens") for curve in (base, arm)), "tokens", "final")
        assert other.log_gain == pytest.approx(one.log_gain, abs=1e-6)
        assert other.log_sd == pytest.approx(one.log_sd, rel=1e-4, abs=1e-9)


@few
@given(worlds, seeds, gains)
def test_swapping_baseline_and_variant_inverts_the_gain(world, seed, gain):
    base, arm = pair(world, gain, seed)
    there = IsoLoss()(base, arm, "steps", 4.0)
    back = IsoLoss()(arm, base, "steps", 4.0)
    assert there.log_gain == pytest.approx(-back.log_gain, abs=1e-9)
    assert there.log_sd == pytest.approx(back.log_sd)


@few
@given(worlds, gains)
def test_a_finer_evaluation_grid_does_not_matter(world, gain):
    quiet = replace(world.quiet(), grid="even", evaluations=101)
    finer = replace(quiet, evaluations=401)
    coarse, fine = (IsoLoss()(*pair(w, gain, 0), "steps", "final").log_gain for w in (quiet, finer))
    assert coarse == pytest.approx(fine, abs=0.005)


@few
@given(worlds, gains, seeds)
def test_more_noise_widens_the_interval(world, gain, seed):
    quiet = replace(world, noise=0.003, memory=0.0, evaluations=101)
    loud = replace(quiet, noise=0.015)
    widths = [
        np.mean([IsoLoss()(*pair(w, gain, (seed + i) % 2**32), "steps", "final").log_sd for i in range(4)])
        for w in (quiet, loud)
    ]
    assert widths[1] > widths[0]


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.25, 2.0, 4.0])
@pytest.mark.parametrize("ends", [{"branches": 6}, {"told": True}], ids=["branches", "constant rate"])
def test_a_known_gain_is_recovered_without_noise(gain, ends):
    world = World(**ends).quiet()
    estimate = IsoLoss()(*pair(world, gain, 0), "steps", "final")
    assert estimate.log_gain == pytest.approx(world.truth(gain), abs=0.012 if world.branches else 0.005)
    assert estimate.reached == (gain > 1)


def test_known_gain_over_seeds_lies_in_its_interval_and_every_axis_agrees():
    world, rng = World(noise=0.003), np.random.default_rng(2)
    curves = [world.curve(rng, g, name, seed) for seed in range(5) for name, g in (("none", 1.0), ("arm", 2.0))]
    rows = [
        row
        for row in compute_gains(curves, costs=("flops", "tokens", "steps"), confidence=0.98)
        if row.variant == "arm"
    ]
    iso = [row for row in rows if row.estimator == "iso_loss"]
    assert len(iso) == 3
    assert max(row.ceg for row in iso) - min(row.ceg for row in iso) < 1e-6
    assert iso[0].ci_low < 2.0 < iso[0].ci_high
    assert iso[0].n_seeds == 5
