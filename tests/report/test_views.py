from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from algoprog.report.figures.curves import band, broken
from algoprog.report.figures.style import styles
from algoprog.report.summary import summarise
from algoprog.report.words.naming import PAPER_ORDER, count, ratio, scientific
from algoprog.report.words.verdicts import direction, verdicts


def words(gains, runs=()):
    found = verdicts(summarise(gains, runs), cost="flops", confidence=0.9)
    return {verdict.variant: verdict.word for verdict in found}


def test_band_is_mean_and_range_over_finished_seeds(write_sweep, sweep):
    runs = write_sweep(sweep(models=("nano",), variants=("rope",), seeds=3))
    (arm,) = summarise([], runs)[0].arms
    found = band(arm)
    losses = np.array([run.curve["val_loss"] for run in runs])
    np.testing.assert_allclose(found.mean, losses.mean(axis=0))
    np.testing.assert_allclose(found.low, losses.min(axis=0))
    np.testing.assert_allclose(found.high, losses.max(axis=0))
    assert found.n_seeds == 3


def test_band_joins_uneven_grids_where_all_seeds_were_measured(write_sweep, sweep):
    runs = write_sweep(sweep(models=("nano",), variants=("rope",), seeds=2))
    runs[1] = replace(runs[1], curve={name: values[:-5:2] for name, values in runs[1].curve.items()})
    found = band(summarise([], runs)[0].arms[0])
    assert found.costs["steps"][-1] <= runs[1].curve["step"][-1]
    assert np.isfinite(found.mean).all()


def test_a_missing_evaluation_does_not_break_the_band(write_sweep, sweep):
    (run,) = write_sweep(sweep(models=("nano",), variants=("rope",), seeds=1))
    run.curve["val_loss"][3] = np.nan
    assert np.isfinite(band(summarise([], [run])[0].arms[0]).mean).all()


def test_crossing_is_interpolated_in_log_cost(write_sweep, sweep):
    runs = write_sweep(sweep(models=("nano",), variants=("rope",), seeds=1))
    found = band(summarise([], runs)[0].arms[0])
    found.mean[:] = 5 - np.log(found.costs["flops"] / found.costs["flops"][0])
    target = 5 - np.log(7.3)
    assert found.crossing("flops", target) == pytest.approx(7.3 * found.costs["flops"][0])
    assert found.crossing("flops", -100.0) is None
    assert found.crossing("flops", 100.0) == found.costs["flops"][0]


def test_diverged_seeds_are_kept_apart(write_sweep, sweep):
    runs = write_sweep(sweep(models=("nano",), variants=("ln",), seeds=2, diverged=("ln",)))
    (arm,) = summarise([], runs)[0].arms
    assert band(arm) is None
    assert len(broken(arm)) == 2
    assert all(np.isfinite(part.loss).all() for part in broken(arm))


def test_verdicts_follow_the_interval(write_sweep, make_gains, sweep):
    shape = sweep(diverged=("ln",))
    assert words(make_gains(shape), write_sweep(shape)) == {
        "mqa": "hurts",
        "sparse": "hurts",
        "flash": "helps",
        "ln": "diverged",
        "rope": "helps",
        "ln+rope+flash": "helps",
    }


def test_what_is_no_finding_is_unclear(make_gains, sweep):
    gains = make_gains(sweep(models=("nano",), variants=("rope",)))
    assert words([replace(g, finding=False) for g in gains]) == {"rope": "unclear"}
    assert words([replace(g, ceg=None) for g in gains]) == {"rope": "unmeasured"}


def test_a_finding_inside_its_own_interval_says_what_decided(make_gains, sweep):
    gains = make_gains(sweep(models=("nano",), variants=("rope",)))
    wide = [replace(g, ceg=1.2, ci_low=0.9, ci_high=1.5, finding=True) for g in gains]
    (verdict,) = verdicts(summarise(wide, []), cost="flops", confidence=0.9)
    assert "own seeds leave open at nano, the spread pooled" in verdict.sentence


def test_an_interval_without_one_that_is_no_finding_says_why(make_gains, sweep):
    gains = make_gains(sweep(models=("nano",), variants=("rope",)))
    chance = [
        replace(g, ceg=1.1, ci_low=1.03, ci_high=1.2, finding=False, p_value=0.0749, flags=("maybe-chance",))
        for g in gains
    ]
    (verdict,) = verdicts(summarise(chance, []), cost="flops", confidence=0.9)
    assert verdict.word == "unclear"
    assert "excludes 1, but among all variants that were tried one may do so by chance (p 0.075 at nano)" in (
        verdict.sentence
    )


def test_seeds_that_were_lost_are_counted_in_the_verdict(make_gains, sweep):
    gains = make_gains(sweep(models=("nano",), variants=("rope",)))
    lost = [replace(g, n_seeds=2, n_diverged=1, finding=False) for g in gains]
    (verdict,) = verdicts(summarise(lost, []), cost="flops", confidence=0.9)
    assert verdict.word == "unclear"
    assert "did not diverge (2 of 3 at nano)" in verdict.sentence


def test_models_that_disagree_are_mixed(make_gains, sweep):
    gains = make_gains(sweep(models=("nano", "micro"), variants=("rope",)))
    turned = [replace(g, ceg=0.5, ci_low=0.4, ci_high=0.6) if g.model == "micro" else g for g in gains]
    assert words(turned) == {"rope": "mixed"}


def test_a_bound_speaks_where_it_is_a_finding(make_gains, sweep):
    gain = make_gains(sweep(models=("nano",), variants=("rope",)))[0]
    below = replace(gain, kind="bound", ceg=0.9, ci_low=None, ci_high=0.9, finding=True)
    assert direction(below) == "hurts"
    assert direction(replace(below, finding=False)) == "unclear"
    assert direction(replace(below, ceg=1.3, ci_low=1.3, ci_high=None)) == "helps"


def test_styles_are_distinct_and_do_not_depend_on_the_company():
    many = [*PAPER_ORDER, *(f"extra{i}" for i in range(20))]
    looks = styles(many, "none")
    assert len({(s.color, s.dash) for s in looks.values()}) == len(many)
    assert styles(["rope"], "none")["rope"] == looks["rope"]


def test_numbers():
    assert [ratio(x) for x in (None, 0.6734, 12.345, 1234.5, 1e7)] == ["-", "0.673", "12.35", "1234", "1e+07"]
    assert [scientific(x) for x in (None, 0, 1e15, 3.69e12)] == ["-", "0", "10¹⁵", "3.69\N{MULTIPLICATION SIGN}10¹²"]
    assert [count(x) for x in (None, 950, 30_100_000)] == ["-", "950", "30.1M"]
