"""Choosing a learning rate from trials: the vertex, the votes, the edges."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoprog.ceg.tuning.search import (
    Trial,
    around_best,
    at_edge,
    best_point,
    best_rate,
    edge_point,
    next_points,
    next_rates,
    rounded,
)


def bowl(rates: list[float], best: float, curvature: float = 0.1) -> list[Trial]:
    """Trials of an exact quadratic in ln rate."""
    return [Trial(rate, 3 + curvature * log(rate / best) ** 2) for rate in rates]


@given(st.floats(-0.6, 0.6), st.floats(1.4, 3.0), st.floats(0.01, 2.0))
def test_the_minimum_of_a_quadratic_is_found_wherever_it_lies(shift: float, factor: float, curvature: float) -> None:
    best = 1e-3 * factor**shift
    found = best_rate(bowl([1e-3 / factor, 1e-3, 1e-3 * factor], best, curvature))
    assert found == pytest.approx(best, rel=1e-3)


def test_trials_far_from_the_best_have_no_say() -> None:
    trials = bowl([5e-4, 1e-3, 2e-3, 4e-3], 1.1e-3)
    assert best_rate([*trials[:3], Trial(4e-3, 9.0)]) == best_rate(trials[:3]) == 1.1e-3


def test_a_denser_grid_uses_all_trials_around_the_best() -> None:
    """A bowl with a little noise: the choice of a grid with steps of 1.41 stays at that of steps of 2."""
    noise = {2e-3: 0.0, 2.828e-3: 0.01, 4e-3: 0.0, 5.657e-3: -0.015, 8e-3: 0.0}
    dense = [Trial(rate, (3 + 0.1 * log(rate / 4e-3) ** 2) + off) for rate, off in noise.items()]
    assert best_rate(dense[::2]) == 4e-3
    found = best_rate(dense)
    assert found is not None
    assert found < 4.5e-3  # the lowest three alone would take 5.0e-3
    assert len(around_best(dense)) == 4  # within a factor of 2 of 5.657e-3


def test_the_order_of_the_trials_does_not_matter() -> None:
    trials = bowl([5e-4, 1e-3, 2e-3], 1.2e-3)
    assert best_rate(trials[::-1]) == best_rate(trials)


def test_a_choice_stays_within_the_rates_that_were_tried() -> None:
    assert best_rate(bowl([5e-4, 1e-3, 2e-3], 9e-3)) == 2e-3
    assert best_rate(bowl([5e-4, 1e-3, 2e-3], 1e-5)) == 5e-4


def test_a_best_at_the_edge_takes_the_next_two() -> None:
    assert best_rate(bowl([5e-4, 1e-3, 2e-3, 4e-3], 3.6e-3)) == 3.6e-3


def test_without_a_parabola_the_best_trial_is_taken() -> None:
    hill = [Trial(5e-4, 3.0), Trial(1e-3, 3.2), Trial(2e-3, 3.1)]
    assert best_rate(hill) == 5e-4
    assert best_rate([Trial(1e-3, 3.0), Trial(2e-3, 3.0), Trial(4e-3, 3.0)]) == 1e-3


@pytest.mark.parametrize("failed", [None, float("nan"), float("inf")])
def test_failed_trials_have_no_vote(failed: float | None) -> None:
    assert best_rate([Trial(1e-3, failed), Trial(2e-3, 3.0), Trial(4e-3, 3.5)]) == 2e-3
    assert best_rate([Trial(1e-3, failed)]) is None
    assert best_rate([]) is None


def test_a_choice_has_four_digits() -> None:
    assert rounded(0.00123456) == 0.001235
    found = best_rate(bowl([5e-4, 1e-3, 2e-3], 0.00123456))
    assert found == 0.001235


def test_the_edge_is_extended_by_the_factor() -> None:
    assert next_rates(bowl([5e-4, 1e-3, 2e-3], 9e-3), 2.0, 6) == (4e-3,)
    assert next_rates(bowl([5e-4, 1e-3, 2e-3], 1e-5), 2.0, 6) == (2.5e-4,)
    assert next_rates(bowl([5e-4, 1e-3, 2e-3], 1e-3), 2.0, 6) == ()
    assert next_rates([Trial(1e-3, 3.0)], 2.0, 6) == (5e-4, 2e-3)


def test_no_more_trials_than_allowed() -> None:
    assert next_rates(bowl([5e-4, 1e-3, 2e-3], 9e-3), 2.0, 3) == ()
    assert next_rates([Trial(1e-3, 3.0)], 2.0, 2) == (5e-4,)


def test_a_cliff_beyond_the_best_moves_the_choice_away_by_half_a_step_at_most() -> None:
    """Losses of a baseline without norms: at the highest rate it never left the plateau of single tokens."""
    trials = [Trial(1e-3, 4.90), Trial(2e-3, 4.4567), Trial(4e-3, 4.2529), Trial(8e-3, 5.9569)]
    found = best_rate(trials)
    assert found is not None
    assert 2e-3 * 2**0.5 < found < 4e-3


def test_a_denser_grid_comes_nearer_to_a_cliff() -> None:
    """Trials of a baseline of 5M parameters, every second of which moves the choice further from the best."""
    losses = {3e-4: 4.874, 4.243e-4: 4.703, 6e-4: 4.600, 8.485e-4: 5.984, 1.2e-3: 5.984}
    dense = [Trial(rate, loss) for rate, loss in losses.items()]
    coarse, found = best_rate(dense[::2]), best_rate(dense)
    assert coarse is not None
    assert found is not None
    assert coarse < found < 6e-4
    assert [trial.rate for trial in around_best(dense)] == [4.243e-4, 6e-4, 8.485e-4]


def test_a_failed_neighbour_bounds_the_search() -> None:
    trials = [Trial(5e-4, 3.2), Trial(1e-3, 3.0), Trial(2e-3, None)]
    assert next_rates(trials, 2.0, 6) == ()
    assert not at_edge(trials)
    assert next_rates([Trial(1e-3, None)], 2.0, 6) == ()


def test_a_search_that_goes_on_ends_at_the_minimum() -> None:
    trials = bowl([5e-4, 1e-3, 2e-3], 1.3e-2)
    while more := next_rates(trials, 2.0, 9):
        trials += bowl(list(more), 1.3e-2)
    assert not at_edge(trials)
    assert len(trials) == 7  # up to 3.2e-2, the first beyond 1.6e-2
    assert best_rate(trials) == 1.3e-2


def test_a_factor_that_goes_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="above 1"):
        next_rates(bowl([1e-3], 1e-3), 1.0, 6)


def cells(rates: list[float], decays: list[float], best: tuple[float, float]) -> dict[tuple[float, ...], float | None]:
    """A grid of an exact bowl in both logarithms."""
    return {
        (rate, decay): 3 + 0.1 * log(rate / best[0]) ** 2 + 0.02 * log(decay / best[1]) ** 2
        for rate in rates
        for decay in decays
    }


def test_two_settings_are_chosen_along_the_lines_through_the_best_cell() -> None:
    grid = cells([5e-4, 1e-3, 2e-3], [0.05, 0.1, 0.2], (1.2e-3, 0.08))
    assert best_point(grid) == (1.2e-3, 0.08)
    assert not edge_point(grid)
    assert next_points(grid, (2.0, 2.0), 12) == ()
    assert best_point(dict.fromkeys(grid)) is None


def test_two_settings_go_on_along_the_best_cell_alone() -> None:
    grid = cells([5e-4, 1e-3, 2e-3], [0.05, 0.1, 0.2], (9e-3, 0.9))
    assert next_points(grid, (2.0, 2.0), 12) == ((4e-3, 0.2), (2e-3, 0.4))
    assert next_points(grid, (2.0, 2.0), 10) == ((4e-3, 0.2),)
    assert next_points(grid, (2.0, 2.0), 9) == ()
    assert edge_point(grid)
