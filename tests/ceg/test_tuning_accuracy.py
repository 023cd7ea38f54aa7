"""A tuned null variant scores 1 and its intervals cover, by simulation; `make tuning-accuracy` takes more of it."""

import pytest

from algoprog.ceg.simulate.tuning import ANYWHERE, MIDDLE, TRIALS, average


@pytest.mark.parametrize("place", [MIDDLE, ANYWHERE])
@pytest.mark.parametrize("trials", TRIALS)
def test_a_variant_without_a_gain_scores_one(trials, place):
    mean, _ = average(trials, place, repetitions=60)
    assert mean.ceg == pytest.approx(1, abs=0.01)
    assert 0.84 <= mean.coverage <= 0.95  # 720 comparisons: known to 1.3 %


def test_the_lowest_trial_would_not_do():
    mean, _ = average(5, MIDDLE, repetitions=40, quadratic=False)
    assert mean.coverage < 0.8
