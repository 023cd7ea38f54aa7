"""Rows of the gains table: kinds, flags, pairing, files."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import Curve, curves_from_runs
from algoprog.ceg.estimator.estimate import Estimate
from algoprog.ceg.evidence import Evidence
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.ceg.rows import gain_rows
from algoprog.ceg.seeds.correlation import seed_correlations
from algoprog.ceg.seeds.sample import Paired
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tables import read_table
from algoprog.ceg.write import COLUMNS, gains_csv, gains_json, write_gains

STEPS = {"costs": ("steps",), "estimators": ("iso_loss",)}


def sweep(gain: float, seeds: int = 1, world: World | None = None, **changes) -> list[Curve]:
    world = world or World(noise=0.003)
    rng = np.random.default_rng(7)
    arms = (("none", 1.0), ("arm", gain))
    curves = [world.curve(rng, g, name, seed) for seed in range(seeds) for name, g in arms]
    return [replace(curve, **changes) if curve.variant == "arm" else curve for curve in curves]


def rows_of(curves, **settings):
    return [row for row in compute_gains(curves, **{**STEPS, **settings}) if row.variant == "arm"]


def test_baseline_has_its_own_row_of_one():
    base = next(row for row in compute_gains(sweep(2.0, seeds=2), **STEPS) if row.variant == "none")
    assert (base.ceg, base.ci_low, base.ci_high, base.kind, base.n_seeds) == (1.0, 1.0, 1.0, "primary", 2)


@pytest.mark.parametrize("estimator", ["iso_loss", "paper"])
def test_unreached_target_gives_a_bound_and_the_auxiliary_value(estimator):
    bound, auxiliary = rows_of(sweep(0.5, seeds=3), estimators=(estimator,))
    assert (bound.kind, auxiliary.kind) == ("bound", "auxiliary")
    assert bound.ceg == bound.ci_high == pytest.approx(1.0, abs=1e-9)
    assert bound.ci_low is None
    assert bound.finding
    assert auxiliary.ceg == pytest.approx(0.5, rel=0.1)
    assert auxiliary.target_loss > bound.target_loss


def test_a_bound_from_noise_alone_does_not_read_as_harm():
    template = Gain("m", "arm", "none", "paper", "steps", None, "primary", None, None, None, 3, ())

    def rows(logs):  # all seeds of the arm end above the baseline's last loss
        missed = tuple(Estimate(3.8, log, lambda: 0.0, auxiliary_target=3.81, log_bound=0.0) for log in logs)
        sample = Paired(dict(enumerate(logs)))
        return gain_rows(Evidence(template, (), missed, sample), sample.own_error(), 0.9)

    bound, auxiliary = rows((-0.01, -0.02, -0.3))
    assert bound.ceg == bound.ci_high == auxiliary.ci_high > 1
    bound, auxiliary = rows((-0.10, -0.11, -0.12))
    assert bound.ceg == bound.ci_high == 1.0 > auxiliary.ci_high


def test_a_loss_that_only_the_variant_reached_gives_a_lower_bound():
    bound, auxiliary = rows_of(sweep(4.0, seeds=3), target=3.75)
    assert (bound.kind, auxiliary.kind) == ("bound", "auxiliary")
    assert bound.ci_high is None
    assert 1 < bound.ceg == bound.ci_low < 4
    assert auxiliary.ceg == pytest.approx(4.0, rel=0.05)


def test_a_loss_that_nobody_reached_gives_only_the_auxiliary_value():
    (row,) = rows_of(sweep(2.0), target=3.0)
    assert row.kind == "auxiliary"


def test_one_seed_has_no_interval_and_no_bound():
    (row,) = rows_of(sweep(2.0))
    assert "single-seed" in row.flags
    assert (row.ci_low, row.ci_high, row.p_value, row.finding) == (None, None, None, False)
    (row,) = rows_of(sweep(0.5))
    assert row.kind == "auxiliary"


def test_one_seed_borrows_a_stated_sd():
    (row,) = rows_of(sweep(2.0), seed_sd=0.01)
    assert "borrowed-sd" in row.flags
    assert "single-seed" not in row.flags
    assert row.finding
    # the slope is .13 nats an e-fold: ln CEG has an sd of sqrt(2) .01 / .13
    half = 1.645 * np.sqrt(2) * 0.01 / 0.13
    assert np.log(row.ci_high / row.ceg) == pytest.approx(half, rel=0.25)
    (wide,) = rows_of(sweep(2.0), seed_sd=0.1)
    assert not wide.finding
    with pytest.raises(ValueError, match="in nats, above 0"):
        rows_of(sweep(2.0), seed_sd=0.0)


@pytest.mark.parametrize(("seeds", "known"), [(3, False), (4, True)])
def test_one_seed_is_compared_with_all_seeds_of_the_baseline_and_takes_their_sd(seeds, known):
    curves = [
        c for c in sweep(2.0, seeds=seeds, world=World(noise=0.003, offset=0.005)) if not c.seed or c.variant == "none"
    ]
    (row,) = rows_of(curves)
    assert "unpaired" in row.flags
    assert ("borrowed-sd" in row.flags, "single-seed" in row.flags) == (known, not known)
    assert (row.ci_low is not None) == known == row.finding
    assert row.n_seeds == 1


def test_one_seed_beside_pairs_borrows_their_sd_and_stays_a_pair():
    curves = sweep(2.0, seeds=4)
    curves.append(replace(curves[1], variant="late"))
    late = [row for row in compute_gains(curves, **STEPS) if row.variant == "late"]
    assert [("unpaired" in row.flags, "borrowed-sd" in row.flags) for row in late] == [(False, True)]


def test_seeds_that_are_not_shared_are_all_used():
    world = World(noise=0.003, offset=0.01)
    rng = np.random.default_rng(5)
    bases = [world.curve(rng, 1.0, "none", seed) for seed in range(8)]
    arms = [world.curve(rng, 1.5, "arm", 100 + seed) for seed in range(3)]
    (row,) = rows_of([*bases, *arms])
    assert row.n_seeds == 3
    assert "unpaired" in row.flags
    assert row.ci_low < 1.5 < row.ci_high
    (other,) = rows_of([*bases[3:], *arms])
    assert other.ceg != row.ceg


def test_seeds_of_different_files_are_numbers_only():
    curves = [replace(c, source=f"{c.variant}.csv") for c in sweep(2.0, seeds=3)]
    (row,) = rows_of(curves)
    assert "unpaired" in row.flags
    own = [replace(c, source=f"{c.variant}/{c.seed}", axes={"norm": c.variant}) for c in curves]
    (row,) = rows_of(own)
    assert "unpaired" not in row.flags


def test_gain_of_nothing_is_indistinguishable_and_may_be_mixed():
    row = rows_of(sweep(1.0, seeds=5), estimators=("paper",))[-1]
    assert {"indistinguishable", "mixed"} <= set(row.flags)
    assert not row.finding


def test_an_interval_without_1_among_many_variants_may_be_chance():
    rng, world = np.random.default_rng(4), World(noise=0.003, offset=0.01)
    arms = [(f"arm{n}", 1.0) for n in range(20)]
    curves = [world.curve(rng, g, name, seed) for seed in range(3) for name, g in [("none", 1.0), *arms]]
    rows = [row for row in compute_gains(curves, **STEPS) if row.variant != "none" and row.kind != "bound"]
    chance = [row for row in rows if "maybe-chance" in row.flags]
    assert chance
    assert all(row.ci_low > 1 or row.ci_high < 1 for row in chance)
    assert not any(row.finding for row in rows)


def test_seconds_of_other_devices_and_loads_are_flagged():
    curves = [replace(c, costs={**c.costs, "seconds": c.costs["steps"] / 7}) for c in sweep(2.0, seeds=2)]
    elsewhere = [replace(c, device="H100" if c.variant == "arm" else "A100", beside=c.seed) for c in curves]
    flags = {row.cost: set(row.flags) for row in rows_of(elsewhere, costs=("steps", "seconds"))}
    assert {"other-device", "other-load"} <= flags["seconds"]
    assert not {"other-device", "other-load"} & flags["steps"]
    assert "other-device" not in rows_of(curves, costs=("seconds",))[0].flags


def test_one_diverged_seed_is_flagged_and_left_out():
    curves = sweep(2.0, seeds=3)
    loss = curves[1].val_loss.copy()
    loss[50:] = np.nan
    curves[1] = replace(curves[1], val_loss=loss)
    (row,) = rows_of(curves)
    assert "diverged" in row.flags
    assert (row.n_seeds, row.n_diverged) == (2, 1)
    assert row.ceg == pytest.approx(2.0, rel=0.05)
    assert row.ci_low > 1
    assert "conditional" in row.flags
    assert not row.finding, "what holds for the seeds that survived is no finding"


def test_a_seed_that_exploded_without_nan_has_diverged_in_curves_from_elsewhere_too():
    curves = sweep(2.0, seeds=3)
    loss = curves[3].val_loss.copy()
    loss[60:] = np.linspace(loss[60], 8.5, len(loss) - 60)
    curves[3] = replace(curves[3], val_loss=loss)
    (row,) = rows_of(curves)
    assert {"diverged", "conditional"} <= set(row.flags)
    assert (row.n_seeds, row.n_diverged, row.finding) == (2, 1, False)
    assert row.ceg == pytest.approx(2.0, rel=0.05)


def test_a_variant_that_always_diverged_has_a_row_without_numbers():
    (row,) = rows_of(sweep(2.0, flags=("diverged",)))
    assert (row.ceg, row.ci_low, row.target_loss, row.n_seeds) == (None, None, None, 0)
    assert "diverged" in row.flags


def test_rising_loss_and_gate_flags_reach_the_row():
    curves = sweep(2.0, flags=("dead-parameters",))
    steps = curves[1].costs["steps"]
    curves[1] = replace(curves[1], val_loss=curves[1].val_loss + 0.5 * np.maximum(0, steps / 50_000 - 0.7))
    (row,) = rows_of(curves)
    assert {"rising", "dead-parameters"} <= set(row.flags)


def test_few_points_are_flagged_and_too_few_have_no_numbers():
    (row,) = rows_of(sweep(2.0, world=World(noise=0.001, evaluations=8)))
    assert "few-points" in row.flags
    assert row.ceg is not None
    (row,) = rows_of(sweep(2.0, world=World(noise=0.001, evaluations=3)))
    assert "few-points" in row.flags
    assert row.ceg is None


def test_seeds_that_move_together_make_pairing_worth_it():
    shift = {0: 0.0, 1: 0.1, 2: -0.1, 3: 0.05}
    curves = [replace(c, val_loss=c.val_loss + shift[c.seed]) for c in sweep(1.5, seeds=4)]
    assert seed_correlations(curves)["synthetic"] > 0.95
    apart = [replace(c, seed=c.seed + 10 * (c.variant == "arm")) for c in curves]
    assert seed_correlations(apart) == {}


def test_a_device_column_tells_what_seconds_were_taken_on(tmp_path):
    lines = ["variant,model,seed,step,seconds,val_loss,device"]
    for variant, device, factor in (("none", "A100", 1.0), ("arm", "H100", 0.9)):
        lines += [f"{variant},m,0,{n},{n * factor},{3 + 1 / n},{device}" for n in range(1, 20)]
    (tmp_path / "runs.csv").write_text("\n".join(lines))
    curves = read_table(tmp_path / "runs.csv")
    assert {curve.variant: curve.device for curve in curves} == {"none": "A100", "arm": "H100"}
    assert "other-device" in rows_of(curves, costs=("seconds",))[-1].flags


def test_seeds_are_matched_and_missing_ones_flagged():
    curves = sweep(2.0, seeds=3)[:-1]
    (row,) = rows_of(curves)
    assert row.n_seeds == 2
    assert "seeds-missing" in row.flags


def test_models_and_cohorts_are_compared_within_themselves():
    small = sweep(2.0)
    large = [replace(curve, model="large") for curve in sweep(3.0)]
    other = [replace(curve, cohort="abcdef0123") for curve in sweep(4.0)]
    gains = {row.model: row.ceg for row in rows_of([*small, *large, *other])}
    assert gains["large"] == pytest.approx(3.0, rel=0.05)
    assert gains["synthetic@abcdef01"] == pytest.approx(4.0, rel=0.05)


def test_a_model_without_baseline_is_named_not_dropped():
    orphan = replace(sweep(2.0)[1], model="large")
    row = rows_of([*sweep(2.0), orphan])[-1]
    assert row.model == "large"
    assert row.ceg is None
    assert "no-baseline" in row.flags


@pytest.mark.parametrize(
    ("curves", "settings", "message"),
    [
        ([], {}, "there are no curves"),
        (sweep(2.0), {"baseline": "nope"}, "choose --baseline among arm, none"),
        (sweep(2.0) + sweep(2.0), {}, "repeats"),
        (sweep(2.0), {"costs": ("seconds",)}, "no column for cost seconds"),
        (sweep(2.0), {"estimators": ("magic",)}, "no estimator is called 'magic'"),
        (sweep(2.0), {"confidence": 90}, "between 0 and 1"),
    ],
)
def test_bad_input_says_what_to_change(curves, settings, message):
    with pytest.raises(ValueError, match=message):
        compute_gains(curves, **{**STEPS, **settings})


def test_files_have_exactly_the_documented_keys(tmp_path):
    gains = [*compute_gains(sweep(0.5), **STEPS), *rows_of(sweep(2.0, flags=("diverged",)))]
    write_gains(tmp_path, gains)
    rows = json.loads((tmp_path / "gains.json").read_text())
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert rows[-1]["ceg"] is None
    assert rows[-1]["flags"] == ["diverged", "untuned"]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "gains.csv").read_text())))
    assert [line["kind"] for line in lines] == [gain.kind for gain in gains]
    assert lines[-1]["ceg"] == ""


def test_infinite_numbers_become_null():
    gain = Gain("m", "v", "none", "paper", "steps", 3.0, "primary", 1.0, None, float("inf"), 1, ())
    assert json.loads(gains_json([gain]))[0]["ci_high"] is None
    assert gains_csv([gain]).endswith("1,,,,,False,,0,,,nats\n")


def test_curves_refuse_columns_that_do_not_fit():
    with pytest.raises(ValueError, match="different lengths"):
        Curve("none", "m", 0, np.ones(3), {"steps": np.ones(4)})
    with pytest.raises(ValueError, match="wanted some of"):
        Curve("none", "m", 0, np.ones(3), {"hours": np.ones(3)})


def test_curves_from_no_runs():
    assert curves_from_runs([]) == []
