from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.ladder.scale import scale_dependence
from algoprog.ceg.noise_floor import NoiseFloor
from algoprog.report.evidence import Results, gather
from algoprog.report.figures.chart import Series
from algoprog.report.figures.charts_gain import by_loss_chart, scale_chart
from algoprog.report.figures.style import INK, Style, styles
from algoprog.report.page.interactive import json_data
from algoprog.report.page.sections_tuning import tuning_section
from algoprog.report.summary import summarise
from algoprog.report.words.verdicts import verdicts


def collect(runs, gains=None):
    gains = compute_gains(curves_from_runs(runs)) if gains is None else gains
    return gather(gains, runs, cost="flops", confidence=0.9)


@pytest.fixture(scope="module")
def evidence(measured):
    return collect(measured.runs, measured.gains)


def test_everything_is_gathered_in_the_order_of_the_models(evidence):
    assert {gain.estimator for gain in evidence.gains} == set(ESTIMATORS)
    assert list(dict.fromkeys(row.model for row in evidence.by_loss)) == ["nano", "micro", "mini"]
    assert [row.variant for row in evidence.predictions] == ["flash", "ln", "rope", "ln+rope"]
    assert [row.model for row in evidence.interactions] == ["nano", "micro", "mini"]
    assert set(evidence.floors) == {"nano", "micro", "mini"}
    assert evidence.tuning == ()
    assert evidence.by_rate is None


def test_models_that_cost_the_same_make_no_ladder(evidence):
    assert {row.cost for row in evidence.scale} == {"flops"}  # the fixture's models all take as many seconds


def test_a_noise_floor_that_is_known_is_not_measured_again(measured):
    known = {"nano": NoiseFloor("nano", "flops", 0.5, 9, 9)}
    found = gather(measured.gains, measured.runs, cost="flops", confidence=0.9, curves=measured.curves, floors=known)
    assert found.floors == known


def test_nothing_is_gathered_from_too_little(write_sweep, sweep, measured):
    assert collect([], []) == Results()
    lonely = write_sweep(sweep(models=("nano",), variants=("rope",), seeds=1))
    assert collect(lonely, []) == Results()
    short = [replace(run, curve={name: column[:1] for name, column in run.curve.items()}) for run in measured.runs]
    assert collect(short, measured.gains) == Results()


def test_swept_learning_rates_are_compared_and_tuned(write_sweep, sweep):
    rates = tuple({"optim.lr": rate} for rate in ("0.001", "0.02", "0.5"))
    runs = write_sweep(sweep(models=("nano", "micro"), variants=("none", "rope"), seeds=1, contexts=rates))
    evidence = collect(runs)
    assert evidence.by_rate.table.head[2:] == ("CEG at 0.001", "CEG at 0.02", "CEG at 0.5")
    groups = summarise(compute_gains(curves_from_runs(runs)), runs)
    section = tuning_section(evidence, groups, styles(["none", "rope"], "none"))
    assert {row[2] for row in section.table.rows} == {"0.5; at the edge; chosen by its own seed"}
    assert [panel.title for panel in section.chart.panels] == ["nano", "micro"]
    assert evidence.scale[0].models == ("nano", "micro")  # one point each, at the best rate


def test_other_settings_leave_no_ladder(write_sweep, sweep):
    contexts = ({"optim.lr": "0.1"}, {"optim.lr": "0.1", "data.seq_len": "8"})
    runs = write_sweep(sweep(models=("nano", "micro"), variants=("none", "rope"), seeds=1, contexts=contexts))
    evidence = collect(runs)
    assert evidence.scale == evidence.predictions == ()
    assert evidence.tuning == ()


def test_the_verdict_uses_the_slope_from_three_models_on(measured):
    groups = summarise(measured.gains, measured.runs)
    rows = scale_dependence(measured.curves)

    def sentence(scale):
        found = verdicts(groups, scale, cost="flops", confidence=0.9)
        return next(verdict.sentence for verdict in found if verdict.variant == "rope")

    assert "compute-independent" in sentence(rows)
    assert "compute" not in sentence([replace(row, models=row.models[:2]) for row in rows])
    open_ = [replace(row, verdict="inconclusive", two_point="dependent") for row in rows]
    assert "stays open" in sentence(open_)
    assert "the paper's two-point rule reads it as compute-dependent" in sentence(open_)


def test_charts_hold_no_number_that_json_cannot(evidence, measured):
    looks = styles([run.record.variant for run in measured.runs], "none")
    row = evidence.by_loss[0]
    broken = replace(row, ci_low=np.full_like(row.ceg, np.nan), ci_high=np.full_like(row.ceg, np.inf))
    data = json_data(by_loss_chart([broken], looks, {}))
    assert set(data["panels"][0]["series"][0]["low"]) == {None}
    assert json_data(scale_chart(evidence.scale, looks))["panels"][0]["reference"] == 1.0


def test_an_empty_chart_knows_it(evidence):
    chart = by_loss_chart(evidence.by_loss, styles(["rope", "ln", "flash", "ln+rope"], "none"), {})
    assert not chart.empty
    series = Series("x", Style(INK, (), "o"), (1.0,), (None,))
    assert replace(chart, panels=(replace(chart.panels[0], series=(series,)),)).empty
