"""The other three estimators on curves they suit, and all five on one table."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator import known
from algoprog.ceg.estimator.known import estimator_of, help_text
from algoprog.ceg.estimator.paper import Paper
from algoprog.ceg.fit.law import bootstrap, fit_law
from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.simulate.ladder import SimulatedLadder
from algoprog.report.figures import charts_gain


def pair(gain: float, world: World | None = None) -> tuple[Curve, Curve]:
    rng = np.random.default_rng(3)
    world = world or World(noise=0.0005, evaluations=401, told=True)
    return world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("gain", [0.6, 1.3, 2.5])
def test_every_estimator_finds_a_gain_that_is_easy_to_see(name, gain):
    estimate = ESTIMATORS[name](*pair(gain), "flops", "final")
    assert np.exp(estimate.log_gain) == pytest.approx(gain, rel=0.05)
    assert 0 < estimate.log_sd < 0.3 or np.isinf(estimate.log_sd)  # one pair tells some nothing


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_gives_one_for_the_same_run(name):
    base, _ = pair(1.0)
    estimate = ESTIMATORS[name](base, base, "flops", "final")
    assert (estimate.log_gain, estimate.log_sd) == (0.0, 0.0)


def test_all_estimators_stand_on_one_table():
    rows = compute_gains(pair(2.0), estimators=tuple(ESTIMATORS), costs=("flops",))
    assert [row.estimator for row in rows if row.variant == "arm"] == list(ESTIMATORS)


def test_extrapolation_is_flagged_by_the_estimators_that_use_a_law():
    base, arm = pair(2.0)
    assert "extrapolated" in ESTIMATORS["effective_speedup"](base, arm, "flops", "final").flags
    assert ESTIMATORS["scaling_fit"](base, arm, "flops", "final").flags == ()
    assert "extrapolated" in ESTIMATORS["scaling_fit"](*pair(0.5), "flops", "final").flags


def test_closest_row_is_the_nearest_logged_cost():
    steps = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    base = Curve("none", "m", 0, np.array([5.0, 4.0, 3.5, 3.2, 3.0]), {"steps": steps})
    arm = replace(base, variant="arm", val_loss=np.array([4.0, 3.3, 3.08, 2.9, 2.8]))
    assert np.exp(ESTIMATORS["closest_row"](base, arm, "steps", "final").log_gain) == pytest.approx(5 / 3)


def test_law_recovers_its_parameters_and_the_bootstrap_surrounds_them():
    cost = np.geomspace(1e15, 1e19, 12)
    noise = 1 + 0.001 * np.random.default_rng(0).normal(size=12)
    loss = (1.9 + 36.3 * cost**-0.065) * noise
    law = fit_law(cost, loss)
    exponents = [sample.exponent for sample in bootstrap(law, cost, loss, 200)]
    assert np.quantile(exponents, 0.02) < 0.065 < np.quantile(exponents, 0.98)
    assert law.log_cost(float(law.loss(1e20))) == pytest.approx(np.log(1e20))
    assert law.log_cost(law.floor) == np.inf


def test_law_of_two_costs_has_no_floor_and_of_one_is_refused():
    law = fit_law(np.array([1.0, 100.0]), np.array([4.0, 2.0]))
    assert law.floor == 0.0
    assert float(law.loss(10_000.0)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least two"):
        fit_law(np.array([1.0, 1.0]), np.array([4.0, 2.0]))
    assert bootstrap(law, np.array([1.0, 100.0]), np.array([4.0, 2.0]), 10) == []


def test_settings_from_the_command_line():
    found = estimator_of("paper:shift=.1,window=4")
    assert (found, found.label) == (Paper(window=4, shift=0.1), "paper(window=4,shift=0.1)")
    assert estimator_of("paper").label == estimator_of("paper:shift=0").label == "paper"
    base, arm = pair(1.5)
    shifted = replace(arm, val_loss=arm.val_loss + 0.1)
    by_hand = ESTIMATORS["paper"](base, shifted, "flops", "final")
    assert estimator_of("paper:shift=.1")(base, arm, "flops", "final").log_gain == by_hand.log_gain
    assert estimator_of("paper:shift=.1")(base, base, "flops", "final").log_gain == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("papr", "no estimator is called 'papr': choose among iso_loss, paper"),
        ("paper:shft=1", "paper has no setting 'shft': it has window, index_base, shift"),
        ("closest_row:window=3", "closest_row has no setting 'window': it has none"),
        ("paper:window=a", "paper:window=a is not a whole number, such as window=8"),
        ("paper:window=0", "the trailing mean of paper has 0 evaluations"),
        ("paper:shift=nan", "the shift of paper is nan"),
        ("paper:shift", "paper:shift= is not a number, such as shift=0.0"),
        ("effective_speedup:law=mine", "the law of effective_speedup is 'mine': give law=curve or law=ladder"),
        ("iso_loss:decided=1", "iso_loss has no setting 'decided': it has none"),
    ],
)
def test_settings_that_are_none_are_refused(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        estimator_of(text)


def test_the_help_says_what_every_estimator_does():
    text = help_text()
    assert all(f"{name}: {own.summary}" in text for name, own in ESTIMATORS.items())
    assert "shift=0.0 (nats added to the variant's losses)" in text


def test_an_estimator_may_see_the_whole_ladder():
    rng, ladder = np.random.default_rng(1), SimulatedLadder(models=5, seeds=2, noise=0.0005, offset=0)
    curves = ladder.curves(rng, ladder.steps(rng))
    curves = [c for c in curves if c.variant in ("none", "data", "worse")]
    rows = compute_gains(curves, estimators=["effective_speedup:law=ladder"], costs=["tokens"])
    assert {row.estimator for row in rows} == {"effective_speedup(law=ladder)"}
    found = {(row.model, row.variant): row.ceg for row in rows}
    assert len(found) == 15
    for model in {row.model for row in rows}:
        assert found[model, "none"] == 1
        assert found[model, "data"] > 1.2 > 1 > found[model, "worse"]
    with pytest.raises(ValueError, match="needs the baseline at 3 models, and here are 1"):
        compute_gains(pair(1.5), estimators=["effective_speedup:law=ladder"], costs=["flops"])


def test_a_new_estimator_is_one_file(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    (example,) = re.findall(r'```python\n("""The gain at the raw.*?)```', page, re.DOTALL)
    (tmp_path / "raw_crossing.py").write_text(example, encoding="utf-8")
    monkeypatch.setattr(known.folder, "__path__", [*known.folder.__path__, str(tmp_path)])
    found = known._found()
    assert found.keys() == {*ESTIMATORS, "raw_crossing"}
    base, arm = pair(2.0)
    rows = compute_gains([base, arm], estimators=[found["raw_crossing"]], costs=["flops"])
    assert next(row.ceg for row in rows if row.variant == "arm") == pytest.approx(2.0, rel=0.05)
    monkeypatch.setattr(charts_gain, "ESTIMATORS", found)
    (panel,) = charts_gain.estimators_chart(rows, {}).panels
    assert [series.name for series in panel.series if series.y] == ["raw_crossing"]
