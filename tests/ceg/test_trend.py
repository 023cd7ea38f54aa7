"""Trends: what they report about a curve, and intervals with the coverage they claim."""

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import paired_trends, trend_of
from algoprog.ceg.seeds.intervals import interval_of, log_interval
from algoprog.ceg.seeds.sample import Error
from algoprog.ceg.simulate.curves import World


def test_trend_recovers_curve_noise_and_its_own_error():
    world = World(noise=0.01)
    inside = []
    for seed in range(20):
        trend = trend_of(world.curve(np.random.default_rng(seed), 1.0, "none"), "steps")
        true = world.loss(np.exp(trend.log_cost), 1.0)
        inside.append(np.mean(np.abs(trend.loss - true)[-256:] < 2 * trend.error[-256:]))
        assert trend.noise_sd == pytest.approx(0.01, rel=0.4)
    assert np.mean(inside) > 0.85


def test_step_zero_is_ignored():
    curve = World().curve(np.random.default_rng(0), 1.0, "none")
    without = replace(curve, val_loss=curve.val_loss[1:], costs={k: v[1:] for k, v in curve.costs.items()})
    assert trend_of(curve, "steps").end == trend_of(without, "steps").end


def test_flat_and_short_curves_have_a_trend():
    steps = np.arange(1.0, 7.0)
    flat = Curve("none", "m", 0, np.full(6, 3.0), {"steps": steps})
    assert trend_of(flat, "steps").end == pytest.approx(3.0)
    assert IsoLoss()(flat, replace(flat, variant="arm"), "steps", "final").log_gain == pytest.approx(0.0)
    short = Curve("none", "m", 0, 5 - 0.3 * np.log(steps[:4]), {"steps": steps[:4]})
    assert trend_of(short, "steps").end == pytest.approx(5 - 0.3 * np.log(4), abs=0.05)
    with pytest.raises(ValueError, match="has 3 usable evaluations"):
        trend_of(Curve("none", "m", 0, np.ones(3), {"steps": steps[:3]}), "steps")


def test_annealing_is_pooled_where_alike_and_kept_where_not():
    rng, world = np.random.default_rng(1), World(schedule="cosine", noise=0.003)
    base, arm = world.curve(rng, 1.0, "none"), world.curve(rng, 2.0, "arm")
    a, b, shared = paired_trends(base, arm, "steps")
    assert a.anneal == b.anneal == pytest.approx(0.08, abs=0.03)
    assert shared > 0
    plain = replace(world, schedule="constant").curve(rng, 2.0, "arm")
    a, b, shared = paired_trends(base, plain, "steps")
    assert a.anneal != b.anneal
    assert shared == 0.0


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_over_seeds_cover_as_they_claim(seeds):
    world, held = World(noise=0.01, offset=0.005), []
    rng = np.random.default_rng(11)
    for repeat in range(60):
        gain = (0.6, 1.0, 2.0)[repeat % 3]
        pairs = [(world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")) for _ in range(seeds)]
        logs = [IsoLoss()(base, arm, "steps", "final").log_gain for base, arm in pairs]
        low, high = log_interval(logs, 0.9)
        held.append(low <= world.truth(gain) <= high)
    assert 0.82 <= np.mean(held) <= 0.98


def test_interval_without_any_error_does_not_exist():
    assert log_interval([0.1], 0.9) is None
    assert interval_of(0.1, Error(float("inf"), 3), 0.9) is None
