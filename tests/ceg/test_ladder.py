"""Questions that need several models or several changes: scale dependence, prediction, interactions, noise floor."""

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.by_loss import gains_by_loss
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.interactions import interactions, shapley_weights
from algoprog.ceg.ladder.predict import predict
from algoprog.ceg.ladder.scale import scale_dependence, two_point_rule
from algoprog.ceg.noise_floor import aa_variants, noise_floors
from algoprog.ceg.simulate.curves import World

MODELS = ("nano", "micro", "mini", "small")


def ladder(slope: float, seeds: int = 3, noise: float = 0.002, models=MODELS, offset: float = 0.0) -> list[Curve]:
    """Models a factor 8 of compute apart; the gain is 1.5 at the smallest and grows as C^slope."""
    rng, curves = np.random.default_rng(5), []
    for rank, model in enumerate(models):
        world = World(noise=noise, offset=offset, final_loss=1.5 + 3.0 * 8.0 ** (-0.1 * rank))
        for seed in range(seeds):
            for name, gain in (("none", 1.0), ("arm", 1.5 * 8.0 ** (slope * rank))):
                curve = world.curve(rng, gain, name, seed)
                costs = {axis: cost * 8.0**rank for axis, cost in curve.costs.items()}
                curves.append(replace(curve, model=model, costs=costs))
    return curves


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "independent"), (0.15, "dependent"), (-0.08, "inverse")])
def test_verdicts(slope, verdict):
    (found,) = scale_dependence(ladder(slope))
    assert found.verdict == verdict
    assert found.models == MODELS
    assert found.slope_low < slope < found.slope_high
    assert (found.seeds_needed, found.decades_needed) == (None, None)


def test_an_inconclusive_slope_says_what_would_settle_it():
    (found,) = scale_dependence(ladder(0.04, seeds=2, models=MODELS[:2], offset=0.006))
    assert found.verdict == "inconclusive"
    assert found.seeds_needed > 2
    assert found.decades_needed > 0.9


def test_single_seeds_at_two_models_use_evaluation_noise():
    (found,) = scale_dependence(ladder(0.15, seeds=1, models=MODELS[:2]))
    assert found.slope_low < 0.15 < found.slope_high


def test_seeds_are_no_evidence_about_a_slope_that_the_models_do_not_follow():
    def bent(seeds: int) -> list[Curve]:
        straight, curves = ladder(0.0, seeds=seeds, models=MODELS[:3]), []
        for curve in straight:
            up = 1.3 if (curve.model, curve.variant) == ("micro", "arm") else 1.0
            curves.append(replace(curve, costs={axis: cost / up for axis, cost in curve.costs.items()}))
        return curves

    (few,), (many,) = scale_dependence(bent(3)), scale_dependence(bent(9))
    assert few.verdict == many.verdict == "inconclusive"
    assert many.slope_high - many.slope_low == pytest.approx(few.slope_high - few.slope_low, rel=0.1)
    assert few.seeds_needed is None
    assert few.decades_needed > 2


def test_a_sweep_of_nothing_but_equal_bits_is_predicted():
    same = [replace(curve, variant="flash") for curve in ladder(0.0, models=MODELS[:3]) if curve.variant == "none"]
    base = [curve for curve in ladder(0.0, models=MODELS[:3]) if curve.variant == "none"]
    (found,) = predict([*base, *same])
    assert found.ceg == pytest.approx(1.0, abs=1e-6)


def test_two_point_rule_reads_table_3_as_the_paper_does():
    pairs = {"mqa": (0.673, 0.931), "sparse": (0.515, 0.964), "flash": (1.063, 1.0), "rope": (1.870, 1.350)}
    found = {name: two_point_rule(*pair) for name, pair in pairs.items()}
    assert found == {"mqa": "dependent", "sparse": "dependent", "flash": "independent", "rope": "independent"}


def test_prediction_of_the_largest_model_is_scored():
    (found,) = predict(ladder(0.0))
    assert (found.holdout, found.models) == ("small", MODELS[:3])
    assert found.loss == pytest.approx(found.loss_observed, rel=0.03)
    assert found.loss_low < found.loss < found.loss_high
    assert found.ceg_observed == pytest.approx(1.5, rel=0.05)
    assert found.error_same_as_largest < 0.05
    assert found.error_no_gain == pytest.approx(np.log(1.5), abs=0.05)
    assert found.exponent_low < found.exponent < found.exponent_high
    assert found.flags == ("extrapolated",)


def test_prediction_from_two_models_has_no_floor():
    (found,) = predict(ladder(0.0, models=MODELS[:3]), holdout="mini")
    assert found.flags == ("extrapolated", "no-floor", "may-turn")


def test_a_baseline_that_ends_higher_at_a_larger_model_says_so():
    """With three models that rise and fall as with two: no law of compute has such losses."""
    for models, holdout in ((MODELS[:3], "mini"), (MODELS[:4], "small")):
        curves = [
            replace(curve, val_loss=curve.val_loss + 2) if curve.model == models[-2] else curve
            for curve in ladder(0.0, models=models)
        ]
        (found,) = predict(curves, holdout=holdout)
        assert "rising-loss" in found.flags
        (found,) = predict(ladder(0.0, models=models), holdout=holdout)
        assert "rising-loss" not in found.flags


@pytest.mark.parametrize(("holdout", "message"), [("huge", "hold out one of"), ("micro", "two at least")])
def test_prediction_says_what_it_lacks(holdout, message):
    with pytest.raises(ValueError, match=message):
        predict(ladder(0.0, seeds=1), holdout=holdout)


def factorial(gains: dict[str, float], seeds: int = 3) -> list[Curve]:
    rng, world = np.random.default_rng(6), World(noise=0.002)
    arms = {"none": 1.0, **gains}
    return [world.curve(rng, gain, name, seed) for name, gain in arms.items() for seed in range(seeds)]


def test_full_factorial_is_attributed_exactly():
    gains = {"ln": 1.5, "rope": 1.4, "swiglu": 1.2, "ln+rope": 1.7, "ln+swiglu": 1.8, "rope+swiglu": 1.68}
    (found,) = interactions(factorial({**gains, "ln+rope+swiglu": 2.0}))
    assert np.prod([share.ceg for share in found.shapley]) == pytest.approx(found.joint.ceg)
    assert found.redundancy.ceg == pytest.approx(1.5 * 1.4 * 1.2 / 2.0, rel=0.03)
    assert found.redundancy.ci_low < found.redundancy.ceg < found.redundancy.ci_high
    assert {share.name: round(share.ceg, 1) for share in found.last} == {"ln": 1.2, "rope": 1.1, "swiglu": 1.2}


def test_leave_one_out_and_singles_without_the_rest():
    (found,) = interactions(factorial({"ln+rope": 2.0, "ln+swiglu": 1.8, "rope+swiglu": 1.6, "ln+rope+swiglu": 2.4}))
    assert (len(found.singles), len(found.last), found.shapley, found.redundancy) == (0, 3, (), None)
    (found,) = interactions(factorial({"ln": 1.5, "rope": 1.5, "ln+rope": 1.5}, seeds=3), confidence=0.99)
    assert len(found.shapley) == 2
    assert found.shapley[0].ci_low < 1.5**0.5 < found.shapley[0].ci_high


def test_shapley_weights_sum_to_one_per_order():
    weights = shapley_weights("a", frozenset("abc"))
    assert sum(weights.values()) == pytest.approx(0.0)
    assert weights[frozenset("abc")] == pytest.approx(1 / 3)


def test_no_joint_variant_means_no_interaction():
    assert interactions(factorial({"ln": 1.5})) == []


def test_the_noise_floor_of_paired_gains_is_that_of_paired_arms():
    curves = factorial({"flash": 1.0, "ln": 1.02}, seeds=4)
    axes = {"none": {"kernel": "math", "norm": "none"}, "flash": {"kernel": "flash", "norm": "none"}}
    known = [replace(c, axes=axes.get(c.variant, {"kernel": "math", "norm": "ln"})) for c in curves]
    assert aa_variants(known) == ("flash",)
    assert aa_variants(curves) == ()
    floor = noise_floors(known)["synthetic"]
    assert (floor.pairs, floor.degrees, floor.paired) == (4, 4, True)
    assert 1.0 < floor.factor(4) < floor.factor(1) < 1.2
    assert noise_floors(curves) == {}, "different seeds of the baseline say nothing of pairs"


def test_the_noise_floor_of_unpaired_gains_is_that_of_different_seeds():
    curves = factorial({"ln": 1.02}, seeds=4)
    apart = [replace(c, seed=c.seed + 100 * (c.variant == "ln")) for c in curves]
    floor = noise_floors(apart)["synthetic"]
    assert (floor.pairs, floor.degrees, floor.paired) == (6, 3, False)
    assert noise_floors(factorial({"ln": 2.0}, seeds=1)) == {}


def test_seeds_of_the_baseline_that_lie_apart_hide_no_gain_of_pairs():
    curves = factorial({"ln": 1.2}, seeds=3)  # every seed moves both of its runs, far more than the gain does
    moved = [replace(c, val_loss=c.val_loss + 0.05 * c.seed) for c in curves]
    (row,) = (row for row in compute_gains(moved, estimators=("iso_loss",), costs=("flops",)) if row.variant == "ln")
    assert row.finding
    assert "indistinguishable" not in row.flags


def test_gains_inside_the_noise_floor_are_indistinguishable():
    curves = factorial({"flash": 1.0, "tiny": 1.001, "ln": 1.5}, seeds=3)
    axes = {"none": {"kernel": "math", "norm": "none"}, "flash": {"kernel": "flash", "norm": "none"}}
    known = [replace(c, axes=axes.get(c.variant, {"kernel": "math", "norm": c.variant})) for c in curves]
    rows = {row.variant: row for row in compute_gains(known, estimators=("iso_loss",), costs=("flops",))}
    assert "indistinguishable" in rows["tiny"].flags
    assert "indistinguishable" not in rows["ln"].flags
    assert "indistinguishable" not in rows["none"].flags
    assert [name for name, row in rows.items() if row.finding] == ["ln"]


def test_gain_over_target_loss_is_flat_where_it_is():
    (found,) = gains_by_loss(factorial({"ln": 2.0}), cost="steps", points=15)
    assert found.ceg == pytest.approx(np.full(15, 2.0), rel=0.05)
    assert (np.diff(found.target_loss) < 0).all()
    assert (found.ci_low < found.ci_high).all()
