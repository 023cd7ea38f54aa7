"""Swept learning rates, and ladders whose models differ in more than size."""

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.pairs.protocols import protocol_differences
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tables.sources import read_source
from algoprog.ceg.tuning.choice import tuned, tunings

RATES = (0.001, 0.002, 0.004)
STEPS = {"costs": ("steps",), "estimators": ("iso_loss",)}


def grid(variant: str, penalties: dict[float, float], gain: float = 1.0, seeds: int = 2, **changes) -> list[Curve]:
    """Runs of a variant at several rates, each off by a penalty in nats."""
    rng, world = np.random.default_rng(3), World(noise=0.002)
    curves = [
        (rate, penalty, world.curve(rng, gain, variant, seed))
        for rate, penalty in penalties.items()
        for seed in range(seeds)
    ]
    return [
        replace(c, val_loss=c.val_loss + p, cohort=f"c{r}", protocol={"optim.lr": r, "batch_size": 8}, **changes)
        for r, p, c in curves
    ]


def row_of(curves: list[Curve]):
    return next(row for row in compute_gains(curves, **STEPS) if row.variant == "arm")


BASE = grid("none", dict(zip(RATES, (0.1, 0.0, 0.1), strict=True)))


def test_each_stands_at_its_best_rate_under_the_models_own_name():
    row = row_of([*BASE, *grid("arm", dict(zip(RATES, (0.2, 0.0, 0.1), strict=True)), gain=2.0)])
    assert (row.model, row.n_seeds) == ("synthetic", 2)
    assert row.ceg == pytest.approx(2.0, rel=0.05)
    assert not {"lr-edge", "lr-grid"} & set(row.flags)


def test_an_edge_and_another_grid_are_flagged():
    edge = row_of([*BASE, *grid("arm", dict(zip(RATES, (0.2, 0.1, 0.0), strict=True)), gain=2.0)])
    assert "lr-edge" in edge.flags
    other = row_of([*BASE, *grid("arm", {0.001: 0.1, 0.002: 0.0, 0.008: 0.2}, gain=2.0)])
    assert "lr-grid" in other.flags
    assert "lr-edge" not in other.flags


def test_a_baseline_at_the_edge_flags_every_gain():
    base = grid("none", dict(zip(RATES, (0.0, 0.1, 0.2), strict=True)))
    assert "lr-edge" in row_of([*base, *grid("arm", dict(zip(RATES, (0.2, 0.0, 0.1), strict=True)))]).flags


def test_a_rate_at_which_a_seed_diverged_is_not_the_best_and_all_diverged_stays_visible():
    arm = grid("arm", dict(zip(RATES, (0.3, 0.2, 0.0), strict=True)), gain=2.0)
    arm[-1] = replace(arm[-1], flags=("diverged",))
    (tuning,) = tunings([*BASE, *arm])
    assert {tuning.stands_at(name) for name in ("none", "arm")} == {((0.002,),)}
    row = row_of([*BASE, *grid("arm", dict.fromkeys(RATES, 0.0), flags=("diverged",))])
    assert (row.ceg, "diverged" in row.flags) == (None, True)


@pytest.mark.parametrize(
    "change",
    [{"protocol": {"optim.lr": 0.004, "batch_size": 16}}, {"protocol": {}}, {"cohort": "other"}],
    ids=["setting", "unknown", "cohort"],
)
def test_whatever_else_differs_leaves_the_cohorts_apart(change):
    curves = [*BASE[:-1], replace(BASE[-1], **change)]
    assert tunings(curves) == []
    assert tuned(curves) == curves


def test_rates_of_other_budgets_are_not_compared():
    short = [replace(c, costs={"steps": c.costs["steps"] / 2}) for c in BASE[-2:]]
    assert tunings([*[replace(c, costs={"steps": c.costs["steps"]}) for c in BASE[:-2]], *short]) == []


def test_a_csv_may_have_rates(tmp_path):
    path = tmp_path / "curves.csv"
    head = "variant,model,seed,lr,step,val_loss\n"
    path.write_text(head + "".join(f"none,m,0,{lr},{s},{5 - s}\n" for lr in (1e-3, 2e-3) for s in (1, 2, 3)))
    assert [curve.learning_rate for curve in read_source(path)] == [0.001, 0.002]


def test_a_rate_that_changes_within_a_run_of_a_csv_is_a_schedule(tmp_path):
    path = tmp_path / "curves.csv"
    rates = {1: 0.0005, 2: 0.001, 3: 0.001, 4: 0.0002}
    lines = "".join(f"none,m,0,{rate},{step},{5 - step}\n" for step, rate in rates.items())
    path.write_text("variant,model,seed,lr,step,val_loss\n" + lines.replace("4,1\n", "4,1.5\n"))
    (curve,) = read_source(path)
    assert (curve.learning_rate, len(curve.val_loss)) == (0.001, 4)


def test_a_rate_that_a_diverged_seed_ruled_out_flags_the_gains():
    arm = grid("arm", dict(zip(RATES, (0.2, 0.0, 0.1), strict=True)), gain=2.0)
    worst = [replace(c, flags=("diverged",)) if (c.seed, c.learning_rate) == (1, 0.001) else c for c in arm]
    assert "diverged" not in row_of([*BASE, *worst]).flags
    best = [replace(c, flags=("diverged",)) if (c.seed, c.learning_rate) == (1, 0.002) else c for c in arm]
    row = row_of([*BASE, *best])
    assert ("diverged" in row.flags, row.n_seeds) == (True, 2)


def test_models_that_differ_in_a_setting_are_flagged_and_the_setting_is_named():
    curves = [replace(c, cohort="", protocol={"batch_size": 8}) for c in BASE[:2]]
    same = [replace(c, model="large") for c in curves]
    assert protocol_differences([*curves, *same]) == []
    other = [replace(c, protocol={"batch_size": 16}) for c in same]
    (difference,) = protocol_differences([*curves, *other])
    assert difference.values == {"synthetic": ("8",), "large": ("16",)}
    assert all("mixed-ladder" in row.flags for row in compute_gains([*curves, *other], **STEPS))
    assert not any("mixed-ladder" in row.flags for row in compute_gains([*curves, *same], **STEPS))
