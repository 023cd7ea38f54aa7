"""Sweeps of two phases: trials choose the rate of every variant, other seeds are compared at it."""

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.by_loss import gains_by_loss
from algoprog.ceg.gains import compute_gains
from algoprog.ceg.interactions import interactions
from algoprog.ceg.ladder.scale import scale_dependence
from algoprog.ceg.noise_floor import noise_floors
from algoprog.ceg.pairs.protocols import protocol_differences
from algoprog.ceg.simulate.curves import STEPS as STEPS_OF_A_RUN
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tuning.choice import tuned, tunings
from algoprog.runs.record import SEARCH

STEPS = {"costs": ("steps",), "estimators": ("iso_loss",)}
GRID = (0.001, 0.002, 0.004)
AXES = {"kernel": "math", "pos": "learned"}


def run(variant: str, rate: float, seed: int, off: float = 0.0, gain: float = 1.0, **changes) -> Curve:
    """A run whose losses are off by some nats."""
    curve = World(noise=0.002).curve(np.random.default_rng([seed, len(variant)]), gain, variant, seed)
    protocol = {"optim.lr": rate, "batch_size": 8}
    return replace(curve, val_loss=curve.val_loss + off, cohort=f"c{rate}", protocol=protocol, **changes)


def trials(variant: str, best: float, rates=GRID, gain: float = 1.0, **changes) -> list[Curve]:
    """The search of a variant, .05 nats lost for a factor of two in the rate."""
    return [run(variant, r, 1000, 0.05 * np.log2(r / best) ** 2, gain, role=SEARCH, **changes) for r in rates]


def compared(variant: str, rate: float, gain: float = 1.0, **changes) -> list[Curve]:
    return [run(variant, rate, seed, 0.0, gain, **changes) for seed in (0, 1, 2)]


def row_of(curves: list[Curve], variant: str = "arm"):
    return next(row for row in compute_gains(curves, **STEPS) if row.variant == variant)


BASE = [*trials("none", 0.002), *compared("none", 0.002)]
ARM = [*trials("arm", 0.0027, gain=1.5), *compared("arm", 0.0027, gain=1.5)]


def test_variants_at_rates_of_their_own_are_one_comparison_and_trials_are_none_of_it():
    row = row_of([*BASE, *ARM])
    assert (row.model, row.n_seeds, row.trials) == ("synthetic", 3, 3)
    assert row.ceg == pytest.approx(1.5, rel=0.05)
    assert not {"untuned", "lr-edge", "lr-grid", "same-seed", "seeds-missing"} & set(row.flags)
    assert {curve.seed for curve in tuned([*BASE, *ARM])} == {0, 1, 2}


def test_a_search_is_priced():
    row = row_of([*BASE, *ARM])
    assert row.search_flops == pytest.approx(3 * ARM[0].costs["flops"][-1])
    without = [replace(c, costs={"steps": c.costs["steps"]}) for c in (*BASE, *ARM)]
    assert row_of(without).search_flops is None


def test_the_untuned_gain_is_read_off_the_trials_at_the_baselines_rate():
    arm = [*trials("arm", 0.004, (*GRID, 0.008), gain=1.5), *compared("arm", 0.004, gain=1.5)]
    row = row_of([*BASE, *arm])
    assert row.untuned_ceg == pytest.approx(1.5 / np.exp(0.05 / 0.13), rel=0.08)  # 0.05 nats at a slope of 0.13
    worse = [*trials("arm", 0.008, (*GRID, 0.008, 0.016)), *compared("arm", 0.008)]
    steps = np.linspace(1, STEPS_OF_A_RUN, 100_000)
    losses = World().loss(steps, 1.0)
    share = np.interp(-losses[-1] - 0.2, -losses, steps) / STEPS_OF_A_RUN  # 0.2 nats behind where the baseline ends
    assert row_of([*BASE, *worse]).untuned_ceg == pytest.approx(share, rel=0.08)
    assert row_of([*BASE, *worse], "none").untuned_ceg is None


def test_a_kernel_shares_the_search_of_what_it_computes():
    base = [replace(c, axes=AXES) for c in BASE]
    flash = [replace(c, axes={**AXES, "kernel": "flash"}) for c in compared("flash", 0.002)]
    row = row_of([*base, *flash], "flash")
    assert (row.trials, "untuned" in row.flags) == (3, False)
    rope = [replace(c, axes={**AXES, "pos": "rope"}) for c in compared("rope", 0.002)]
    assert (row_of([*base, *rope], "rope").trials, "untuned" in row_of([*base, *rope], "rope").flags) == (None, True)


def test_without_a_search_all_but_the_baseline_and_its_kernels_are_untuned():
    base = [replace(c, axes=AXES) for c in compared("none", 0.002)]
    flash = [replace(c, axes={**AXES, "kernel": "flash"}) for c in compared("flash", 0.002)]
    rows = compute_gains([*base, *flash, *compared("arm", 0.002)], costs=("steps",))
    assert {row.variant for row in rows if "untuned" in row.flags} == {"arm"}
    assert {row.estimator for row in rows if "untuned" in row.flags} == {"iso_loss", "paper"}


def test_a_baseline_without_a_search_is_flagged_on_what_was_searched():
    row = row_of([*compared("none", 0.002), *ARM])
    assert "untuned-baseline" in row.flags
    assert "untuned" not in row.flags


def test_a_search_that_ended_at_its_edge_is_flagged():
    edge = [*trials("arm", 0.008), *compared("arm", 0.004)]
    assert "lr-edge" in row_of([*BASE, *edge]).flags


@pytest.mark.parametrize(
    ("rates", "best", "flagged"),
    [
        ((*GRID, 0.008), 0.004, False),  # went on beyond the edge at which the best lay
        ((*GRID, 0.008), 0.002, True),  # one more for no reason
        ((0.001, 0.0014, 0.002, 0.004), 0.002, True),  # denser
        ((0.01, 0.02, 0.04), 0.02, True),  # elsewhere
    ],
    ids=["extended", "longer", "denser", "elsewhere"],
)
def test_searches_that_differ_in_more_than_how_far_they_went_are_flagged(rates, best, flagged):
    row = row_of([*BASE, *trials("arm", best, rates), *compared("arm", best)])
    assert ("lr-grid" in row.flags) == flagged


def test_a_diverged_trial_is_no_vote_and_no_comparison():
    lost = [*ARM[:2], replace(ARM[2], flags=("diverged",)), *ARM[3:]]
    row = row_of([*BASE, *lost])
    assert (row.trials, row.n_seeds, "diverged" in row.flags) == (3, 3, False)


def test_weight_decay_is_tuned_with_the_rate():
    def decayed(curves, decay):
        return [
            replace(c, cohort=f"{c.cohort}-{decay}", protocol={**c.protocol, "optim.weight_decay": decay})
            for c in curves
        ]

    base = [*decayed(BASE[:3], 0.1), *decayed(BASE[:3], 0.2), *decayed(BASE[3:], 0.1)]
    arm = [*decayed(ARM[:3], 0.1), *decayed(ARM[:3], 0.2), *decayed(ARM[3:], 0.2)]
    row = row_of([*base, *arm])
    assert (row.n_seeds, row.trials) == (3, 6)
    (tuning,) = tunings([*base, *arm])
    assert tuning.stands_at("arm") == ((0.0027, 0.2),)


def test_a_weight_decay_that_was_never_varied_has_no_edge():
    curves = [replace(c, protocol={**c.protocol, "optim.weight_decay": 0.1}) for c in (*BASE, *ARM)]
    assert "lr-edge" not in row_of(curves).flags


def test_models_that_were_searched_make_a_clean_ladder():
    large = [replace(c, model="large") for c in (*trials("none", 0.001), *compared("none", 0.0011))]
    assert protocol_differences(tuned([*BASE, *large])) == []
    plain = [replace(c, model="large") for c in compared("none", 0.001)]
    assert [d.setting for d in protocol_differences(tuned([*BASE, *plain]))] == ["optim.lr"]


def test_a_model_searched_under_two_protocols_is_two_comparisons():
    other = [replace(c, cohort="x" + c.cohort, protocol={**c.protocol, "batch_size": 16}) for c in (*BASE, *ARM)]
    rows = [row for row in compute_gains([*BASE, *ARM, *other], **STEPS) if row.variant == "arm"]
    assert len({row.model for row in rows}) == 2
    assert {(row.n_seeds, row.trials) for row in rows} == {(3, 3)}


def test_the_choice_is_made_once():
    curves = [*BASE, *ARM]
    assert all(a is b for a, b in zip(tuned(curves), tuned(curves), strict=True))
    once = tuned(curves)
    assert all(a is b for a, b in zip(once, tuned(once), strict=True))


def test_trials_change_no_other_analysis():
    rates = [*compared("none", 0.002), *compared("arm", 0.002, gain=1.5)]
    large = [replace(c, model="large", costs={a: 3 * v for a, v in c.costs.items()}) for c in rates]
    plain, searched = [*rates, *large], [*rates, *large]
    for model in ("synthetic", "large"):
        searched += [replace(c, model=model) for c in (*trials("none", 0.002), *trials("arm", 0.002, gain=1.5))]
    for analysis in (noise_floors, scale_dependence, gains_by_loss, interactions):
        assert repr(analysis(searched, cost="steps")) == repr(analysis(plain, cost="steps")), analysis
