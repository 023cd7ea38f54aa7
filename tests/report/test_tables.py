"""The terminal tables beyond the default one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.interactions import interactions
from algoprog.ceg.ladder.predict import predict
from algoprog.ceg.ladder.scale import scale_dependence
from algoprog.ceg.noise_floor import NoiseFloor, noise_floors
from algoprog.report.tables.estimators import estimators_table
from algoprog.report.tables.interaction import interactions_table
from algoprog.report.tables.prediction import predictions_table
from algoprog.report.tables.scale import scale_table
from algoprog.report.tables.table import gains_table


def rows(table: str, name: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith(name + " ")]


def flat(table: str) -> str:
    return " ".join(table.split())


@pytest.fixture(scope="module")
def tables(measured) -> dict[str, str]:
    """Every table of the session's sweep."""
    everything = compute_gains(measured.curves, estimators=tuple(ESTIMATORS), costs=("flops",))
    return {
        "gains": gains_table(measured.gains, measured.runs, floors=noise_floors(measured.curves)),
        "estimators": estimators_table(everything, measured.runs),
        "scale": scale_table(scale_dependence(measured.curves)),
        "predictions": predictions_table(predict(measured.curves)),
        "interactions": interactions_table(interactions(measured.curves)),
    }


@pytest.mark.parametrize("name", ["gains", "estimators", "scale", "predictions", "interactions"])
def test_every_table_is_plain_text_of_80_columns(tables, name):
    assert max(map(len, tables[name].splitlines())) <= 80
    assert tables[name].isascii()
    assert tables[name].endswith("\n")


def test_long_names_and_numbers_stay_inside(measured):
    name = "n" * 300
    slopes = [
        replace(row, variant=name, slope=-500.0, slope_low=-1e9, slope_high=1e9)
        for row in scale_dependence(measured.curves)
    ]
    assert max(map(len, scale_table(slopes).splitlines())) <= 80
    found = [replace(row, variant=name, ceg=1e30, ceg_low=1e-30, ceg_high=None) for row in predict(measured.curves)]
    assert max(map(len, predictions_table(found).splitlines())) <= 80


def test_estimators_stand_side_by_side_once_a_variant_and_model(tables):
    assert len(rows(tables["estimators"], "rope")) == 3
    assert len(rows(tables["estimators"], "rope")[0].split()) >= 6
    assert "closest effective scaling" in flat(tables["estimators"])
    assert "scaling_fit: costs read off power laws" in tables["estimators"]


def test_two_estimators_have_room_for_intervals(measured):
    gains = compute_gains(measured.curves, estimators=("closest_row", "paper"), costs=("flops",))
    table = estimators_table(gains)
    assert table.index("closest_row") < table.index("paper")
    assert rows(table, "rope")[0].count("[") == 2


def test_the_default_table_ignores_other_estimators(measured):
    more = compute_gains(measured.curves, estimators=("effective_speedup",), costs=("flops",))
    assert gains_table([*measured.gains, *more], measured.runs) == gains_table(measured.gains, measured.runs)


def test_the_noise_floor_is_said_in_words(tables, measured):
    assert "Noise floor of nano: 2 A/A pairs (runs whose true gain is 1)" in flat(tables["gains"])
    lonely = {"nano": NoiseFloor("nano", "flops", 0.135, degrees=1, pairs=1)}
    text = flat(gains_table(measured.gains, measured.runs, floors=lonely))
    assert "1 A/A pair (runs whose true gain is 1) scored 14 % away from 1." in text
    assert "one pair does not show how far noise can go" in text
    assert "More seeds narrow it." in text
    silent = {"nano": NoiseFloor("nano", "flops", 1e-8, degrees=1, pairs=1)}
    assert "scored the same to 0.1 %" in flat(gains_table(measured.gains, measured.runs, floors=silent))


def test_scale_says_verdict_and_the_papers_rule(tables):
    (rope,) = rows(tables["scale"], "rope")
    assert rope.split()[1] == "3"
    assert rope.split()[-2:] == ["independent", "independent"]
    assert "Two models" not in tables["scale"]


def test_an_open_verdict_says_what_would_settle_it(measured):
    row = replace(scale_dependence(measured.curves)[0], verdict="inconclusive", seeds_needed=7, decades_needed=2.34)
    assert "7 seeds a model, or a ladder of 2.3 decades of compute, would settle it" in flat(scale_table([row]))
    hopeless = replace(row, seeds_needed=None, decades_needed=None)
    assert "no number of seeds up to 100" in flat(scale_table([hopeless]))
    assert "a third model has to confirm" not in flat(scale_table([row]))
    pair = replace(row, verdict="inverse", models=row.models[:2])
    assert "inverse?" in scale_table([pair])
    assert "A third model has to confirm a verdict" in flat(scale_table([pair]))


def test_predictions_are_scored_and_carry_the_exponents_interval(tables, measured):
    assert "Predicted at mini from nano, micro" in tables["predictions"]
    losses, gains, errors = rows(tables["predictions"], "rope")
    assert losses.count("[") == gains.count("[") == 2
    assert errors.count("x") == 3
    assert "than the naive guesses" in flat(tables["predictions"])
    unknown = [replace(row, exponent_low=None, exponent_high=None, ceg=None) for row in predict(measured.curves)]
    assert "unknown" in rows(predictions_table(unknown), "rope")[2]


def test_interactions_name_each_change_and_the_product(tables):
    assert len(rows(tables["interactions"], "ln")) == 3
    assert rows(tables["interactions"], "ln")[0].count("[") == 3  # alone, added last, Shapley
    assert "Product of the single gains / joint gain: 1.1" in tables["interactions"]


def test_empty_tables_say_what_is_missing():
    assert "nothing to show" in estimators_table([])
    assert "two models or more" in scale_table([])
    assert "nothing to predict" in predictions_table([])
    assert "such as ln+rope" in interactions_table([])
