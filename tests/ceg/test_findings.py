"""Findings among many variants, at the level of ln CEG: what `make findings-accuracy` measures at length."""

import numpy as np
import pytest

from algoprog.ceg.seeds.findings import findings, p_values
from algoprog.ceg.seeds.pool import SeedVariance, _Fit, pool_of
from algoprog.ceg.seeds.sample import Error, Paired, Unpaired
from algoprog.ceg.simulate.findings import Sweeps, found_in

REPEATS = 100


def test_findings_are_those_of_benjamini_and_hochberg():
    p = {"a": 0.011, "b": 0.019, "c": 0.029, "d": 0.5, "e": 0.9}
    assert findings(p, 0.05) == {"a", "b", "c"}, "the largest rank that passes takes those below it along"
    assert findings({"a": 0.06, "b": 0.5}, 0.10) == set()
    assert findings({}) == set()


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_sweeps_without_gains_rarely_have_a_finding(seeds):
    rng = np.random.default_rng(seeds)
    shares = [bool(found_in(Sweeps(seeds=seeds).draw(rng))) for _ in range(REPEATS)]
    assert np.mean(shares) <= 0.12 + 2 * np.sqrt(0.12 * 0.88 / REPEATS)


def test_gains_of_two_sds_are_found_at_three_seeds():
    rng, world = np.random.default_rng(0), Sweeps(seeds=3, gains=6)
    found = [found_in(world.draw(rng)) for _ in range(REPEATS)]
    assert np.mean([len(names & world.true) / 6 for names in found]) >= 0.74
    assert np.mean([len(names - world.true) / max(len(names), 1) for names in found]) <= 0.14


def test_own_intervals_would_call_most_such_sweeps_a_success():
    rng = np.random.default_rng(1)
    chance = [
        any(abs(sample.mean) > sample.own_error().half(0.9) for sample in Sweeps(seeds=5).draw(rng).values())
        for _ in range(50)
    ]
    assert np.mean(chance) > 0.3


def test_the_pool_is_that_of_single_runs_where_all_scatter_alike():
    rng = np.random.default_rng(2)
    base, arms = rng.normal(size=40), rng.normal(size=(20, 40))
    pool = pool_of({f"arm{n}": Paired(dict(enumerate(arm - base))) for n, arm in enumerate(arms)})
    assert pool.pair.standard == pytest.approx(np.sqrt(2), rel=0.05)
    assert pool.pair.degrees == 20 * 39
    assert not pool.apart


def test_a_noisy_baseline_leaves_the_degrees_of_one_run():
    rng = np.random.default_rng(3)
    base, arms = 10 * rng.normal(size=5), rng.normal(size=(20, 5))
    pool = pool_of({f"arm{n}": Paired(dict(enumerate(arm - base))) for n, arm in enumerate(arms)})
    assert 3 < pool.pair.degrees < 6
    assert pool.pair.standard == pytest.approx(np.std(base, ddof=1), rel=0.2)


def test_a_variant_that_scatters_more_is_tested_by_its_own_seeds():
    rng = np.random.default_rng(4)
    samples = Sweeps(seeds=5).draw(rng)
    samples["wild"] = Paired(dict(enumerate(2.0 + 3 * rng.normal(size=5))))
    pool = pool_of(samples)
    assert pool.apart == {"wild"}
    own = samples["wild"].own_error().p_value(samples["wild"].mean)
    assert p_values(samples, pool, {}, {})["wild"] >= own


def test_one_variant_is_tested_by_students_t():
    sample = Paired({0: 0.1, 1: 0.2, 2: 0.4})
    error, own = pool_of({"arm": sample}).error(sample), sample.own_error()
    assert (error.standard, error.degrees) == (pytest.approx(own.standard), own.degrees)


def test_seeds_that_a_variant_lacks_do_no_harm():
    rng = np.random.default_rng(5)
    cells = rng.normal(size=(4, 6))
    samples = {f"arm{n}": Paired({s: float(cells[n, s]) for s in range(6) if (n + s) % 4}) for n in range(4)}
    samples["late"] = Paired({7: 0.3})
    pool = pool_of(samples)
    assert pool.error(samples["late"]).standard == pytest.approx(pool.pair.standard)
    assert pool.lent(samples["late"]).borrowed


def test_few_degrees_are_not_lent():
    sample = Paired({0: 0.1})
    assert SeedVariance(None, Error(0.1, 2)).lent(sample) is None
    assert SeedVariance(None, Error(0.1, 3)).lent(sample).standard == pytest.approx(0.1 * np.sqrt(2))


def test_welch_of_unequal_numbers_covers():
    rng, held = np.random.default_rng(6), []
    for _ in range(400):
        base, arm = 0.3 * rng.normal(size=20), 0.1 * rng.normal(size=3)
        sample = Unpaired(arm[None, :] - base[:, None])
        held.append(abs(sample.mean) <= sample.own_error().half(0.9))
    assert 0.86 <= np.mean(held) <= 0.94


def test_means_give_what_least_squares_give():
    rng = np.random.default_rng(7)
    cells = {f"arm{n}": dict(enumerate(rng.normal(size=4))) for n in range(5)}
    whole, again = _Fit.of(cells), _Fit.of({**cells, "late": {9: 0.5}})  # a cell by itself, which fits exactly
    assert (again.squares, again.degrees) == (pytest.approx(whole.squares), whole.degrees)
    for name, (squares, free) in whole.rows.items():
        assert again.rows[name] == (pytest.approx(squares), pytest.approx(free))
