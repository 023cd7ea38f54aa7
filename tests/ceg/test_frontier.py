"""Tables of end points: laws through the ends of several sizes, and what their scatter is worth."""

from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.fit.frontier_law import LEAST_FREE, fit_frontiers
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.tables import read_table
from algoprog.cli import main

CASES = Path(__file__).parent / "cases"
COSTS = np.geomspace(1e18, 1e20, 7)


def loss(cost, gain: float = 1.0):
    return 0.6 + 0.5 * (gain * np.asarray(cost) / 1e18) ** -0.12


def end(variant: str, place: int, value: float, seed: int = 0) -> Curve:
    costs = {"flops": COSTS[place : place + 1], "tokens": COSTS[place : place + 1] / 1e9}
    return Curve(variant, f"size{place}", seed, np.array([value]), costs)


def ends(sizes: tuple[int, int], gain: float, noise: float, seed: int = 0) -> list[Curve]:
    rng = np.random.default_rng(seed)
    return [
        end(name, place, float(loss(COSTS[place], g) * np.exp(rng.normal(0, noise))))
        for name, count, g in (("none", sizes[0], 1.0), ("arm", sizes[1], gain))
        for place in np.linspace(0, 6, count).round().astype(int)
    ]


def row_of(curves: list[Curve], **settings):
    rows = compute_gains(curves, costs=("flops",), estimators=("iso_loss",), **settings)
    return next(row for row in rows if row.variant == "arm" and row.kind != "bound")


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("sizes", [(7, 7), (4, 7), (7, 3), (4, 4)])
def test_exact_ends_give_the_true_gain(sizes, gain):
    row = row_of(ends(sizes, gain, 0.0))
    assert row.model == "frontier"
    assert row.ceg == pytest.approx(gain, rel=1e-3)
    assert "end-points" in row.flags
    assert "single-seed" not in row.flags


@pytest.mark.parametrize(
    ("sizes", "known"), [((7, 7), True), ((4, 4), True), ((4, 3), False), ((3, 3), False), ((7, 2), False)]
)
def test_no_interval_below_three_degrees_of_freedom(sizes, known):
    row = row_of(ends(sizes, 1.5, 0.002))
    assert (row.ci_low is not None) == known
    assert ("few-points" in row.flags) == (not known)
    assert (sum(sizes) - 5 >= LEAST_FREE and min(sizes) > 2) == known


@pytest.mark.parametrize("sizes", [(7, 7), (4, 4), (4, 7)])
def test_intervals_cover(sizes):
    rows = [row_of(ends(sizes, 1.4, 0.003, seed)) for seed in range(60)]
    assert np.mean([row.ci_low <= 1.4 <= row.ci_high for row in rows]) >= 0.8
    assert np.median([row.ci_high / row.ci_low for row in rows]) < 1.5


def test_the_error_grows_with_the_scatter_and_what_is_shared_is_not_fitted_twice():
    few, many = (
        fit_frontiers([COSTS, COSTS], [y, y * 0.98]) for y in (loss(COSTS), loss(COSTS) * (1 + 0.002 * np.cos(COSTS)))
    )
    assert few.log_sd(0.9) < many.log_sd(0.9)
    assert few.free == many.free == 14 - 5


def test_a_variant_that_was_trained_at_small_sizes_alone_is_compared_there():
    small = [curve for curve in ends((7, 7), 1.5, 0.001) if curve.variant == "none" or curve.model < "size4"]
    rows = compute_gains(small, costs=("flops",), estimators=("iso_loss",))
    assert {row.kind for row in rows if row.variant == "arm"} == {"auxiliary", "bound"}
    assert row_of(small).ceg == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_ends_that_do_not_fall_tell_no_cost(slope):
    flat = [end(name, place, 3.0 + slope * place) for name in ("none", "arm") for place in range(7)]
    row = row_of(flat)
    assert row.ci_low is None
    assert "poor-fit" in row.flags
    (base,) = [r for r in compute_gains(flat, costs=("flops",), estimators=("iso_loss",)) if r.variant == "none"]
    assert base.ceg == 1.0


def test_seeds_are_compared_in_pairs():
    rng = np.random.default_rng(0)
    runs = [
        end(name, place, float(loss(COSTS[place], g) + rng.normal(0, 0.002)), seed)
        for seed in range(3)
        for name, g in (("none", 1.0), ("arm", 1.5))
        for place in range(7)
    ]
    row = row_of(runs)
    assert row.n_seeds == 3
    assert row.ci_low < 1.5 < row.ci_high


def test_estimators_that_read_curves_have_none():
    rows = compute_gains(ends((7, 7), 1.5, 0.0), costs=("flops",), estimators=("paper", "closest_row"))
    assert [row.ceg for row in rows] == [None] * 4


def test_too_few_or_repeated_ends_are_named():
    with pytest.raises(ValueError, match=r"none .size0, seed 0. has one evaluation only: .* end points of 3 sizes"):
        row_of(ends((2, 7), 1.5, 0.0))
    with pytest.raises(ValueError, match=r"is there twice"):
        row_of([*ends((7, 7), 1.5, 0.0), end("arm", 0, 1.0)])
    same = [
        Curve(c.variant, c.model, 0, c.val_loss, {**c.costs, "tokens": np.array([5.0])}) for c in ends((4, 4), 1.5, 0)
    ]
    with pytest.raises(ValueError, match=r"cost no more tokens than a smaller size"):
        compute_gains(same, costs=("tokens",))


def test_published_ends_of_an_optimizer_leaderboard(capsys):
    """Marin's runs: of seven sizes and one seed an interval that the scatter carries."""
    path, words = CASES / "marin-ends.csv", ["--baseline", "cautious_llama_scaling"]
    rows = compute_gains(read_table(path), costs=("flops",), estimators=("iso_loss",), baseline=words[1])
    (muonh,) = [row for row in rows if row.variant == "muonh_qwen3_scaling"]
    assert muonh.ceg == pytest.approx(1.31, abs=0.02)
    assert 1.25 > muonh.ci_low > 1.1
    assert 1.4 < muonh.ci_high < 1.5
    assert main(["ceg", str(path), *words]) == 0
    assert "end-points: each run is known by its end alone" in " ".join(capsys.readouterr().out.split())
    assert main(["predict", str(path), *words]) == 2
    assert "ends of sizes" in capsys.readouterr().err
