"""Seeds and the gains that they resolve."""

import math

import numpy as np
import pytest

from algoprog.ceg.gain import Gain
from algoprog.ceg.seeds.power import Spread, sentence, spreads
from algoprog.ceg.write import gains_json
from algoprog.cli import main
from algoprog.sweep.plan.power_command import power_line


def test_the_speedrun_of_modded_nanogpt():
    """Track 3: a run's sd is 0.0013 nats, and 0.0045 nats are worth 100 of its 3250 steps."""
    slope = 0.0045 / math.log(3250 / 3150)
    spread = Spread.stated(0.0013, slope)
    assert spread.smallest_gain(1) == pytest.approx(3250 / 3150, rel=0.002), "one seed tells 100 steps from none"
    assert spread.seeds_for(3250 / 3225) == 17
    assert spread.seeds_for(3225 / 3250) == 17


@pytest.mark.parametrize("degrees", [4, 12, math.inf])
def test_the_power_is_what_is_said(degrees):
    rng, seeds, spread = np.random.default_rng(0), 3, Spread(0.1, degrees)
    gain = math.log(spread.smallest_gain(seeds))
    means = gain + 0.1 / np.sqrt(seeds) * rng.normal(size=20_000)
    sds = 0.1 * (np.sqrt(rng.chisquare(degrees, 20_000) / degrees) if degrees < math.inf else np.ones(20_000))
    critical = {4: 2.132, 12: 1.782, math.inf: 1.645}[degrees]
    assert np.mean(means > critical * sds / np.sqrt(seeds)) == pytest.approx(0.8, abs=0.015)


def test_the_spread_is_read_off_intervals():
    rows = [
        Gain(
            "m",
            name,
            "none",
            "iso_loss",
            "flops",
            3.0,
            "primary",
            1.2,
            1.2 / math.exp(half),
            1.2 * math.exp(half),
            3,
            (),
        )
        for name, half in (("a", 2.92 * 0.1 / math.sqrt(3)), ("b", 2.92 * 0.2 / math.sqrt(3)))
    ]
    found = spreads(rows)["m"]
    assert found.log_sd == pytest.approx(math.sqrt((0.1**2 + 0.2**2) / 2), rel=1e-3)
    assert found.degrees == 4
    assert spreads([Gain("m", "a", "none", "iso_loss", "flops", 3.0, "primary", 1.2, None, None, 1, ())]) == {}


def test_the_command_says_what_seeds_resolve(capsys):
    assert main(["power", "--sd", "0.0013", "--slope", "0.144", "--seeds", "1", "--gain", "1.01"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 seed a variant resolves a gain of 1.032")
    assert "a gain of 1.01 needs 11 seeds" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of the two"),
        (["--sd", "-1"], "above 0"),
        (["--sd", "0.01", "--gain", "1"], "other than 1"),
        (["--sd", "0.01", "--seeds", "0"], "at least 1"),
        (["nowhere", "--slope", "1"], "--slope goes with --sd"),
    ],
)
def test_what_cannot_be_answered_is_refused(words, message, capsys):
    assert main(["power", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_gain_that_no_one_can_pay_for():
    assert "needs more than 1,000 seeds" in sentence(Spread(1.0, math.inf), 3, 1.001)


def test_a_plan_is_told_by_the_newest_sweep_of_its_models(tmp_path):
    row = Gain("nano", "ln", "none", "iso_loss", "flops", 3.0, "primary", 1.2, 1.1, 1.3, 3, ())
    assert power_line(tmp_path, ["nano"], 3) is None
    folder = tmp_path / "2026-01-31" / "12-00-00"
    folder.mkdir(parents=True)
    (folder / "gains.json").write_text(gains_json([row]))
    assert "at nano 3 seeds a variant resolve a gain of 1." in power_line(tmp_path, ["nano"], 3)
    assert power_line(tmp_path, ["micro"], 3) is None
    (folder / "gains.json").write_text('[{"other": 1}]')
    assert power_line(tmp_path, ["nano"], 3) is None
