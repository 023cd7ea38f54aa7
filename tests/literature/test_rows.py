"""Every row says what it is; every value with raw inputs follows from them."""

import copy
import re

import pytest

from algoprog import variant
from algoprog.config import conf_dir
from algoprog.literature.equations import PrintedGain, ceg, compute, floor_geometric_mean, recompute
from algoprog.literature.rows import CHECKED, METRIC_TYPES, REFERENCES, TABLES, average, literature_rows, load

ROWS = literature_rows()
VALUES = [(f"{row.advance}, {row.metric}, {side}", getattr(row, side)) for row in ROWS for side in ("low", "high")]
KNOWN = [pytest.param(value, id=name) for name, value in VALUES if value.inputs is not None]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.advance}, {row.metric}")
def test_every_row_has_source_metric_type_and_caveat(row):
    assert row.metric in METRIC_TYPES
    assert row.checked in CHECKED
    assert row.dependence in (("unstated",) if row.table == "field" else ("dependent", "independent"))
    assert re.fullmatch(r"\d{4}\.\d{5}", row.arxiv) if row.arxiv else row.table == "field"
    assert row.source
    assert row.location
    assert len(row.caveat) > 20
    assert 0 < row.low.quoted <= row.high.quoted


def test_a_pair_of_advance_and_metric_type_stands_once_in_a_table():
    names = [(row.table, row.advance, row.metric) for row in ROWS]
    assert len(set(names)) == len(names)
    assert [sum(name[0] == table for name in names) for table in TABLES] == [11, 9, 28]


def test_axes_options_and_references_are_those_of_the_configuration():
    defaults = {"schedule": "wsd", **variant.baseline()}
    assert {axis: defaults[axis] for axis in REFERENCES} == REFERENCES
    for row in ROWS:
        assert (row.axis is None) == (row.option is None)
        if row.axis:
            assert (conf_dir() / row.axis / f"{row.option}.yaml").exists()


@pytest.mark.parametrize("value", KNOWN)
def test_recomputed_values_are_the_quoted_ones(value):
    assert value.agrees


def _numbers(inputs, path=()):
    items = inputs.items() if isinstance(inputs, dict) else enumerate(inputs)
    for key, item in items:
        if isinstance(item, (dict, list)):
            yield from _numbers(item, (*path, key))
        elif not isinstance(item, str):
            yield (*path, key)


@pytest.mark.parametrize("value", KNOWN)
@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_no_raw_input_can_change_unnoticed(value, factor):
    for *path, last in _numbers(value.inputs):
        inputs = copy.deepcopy(dict(value.inputs))
        place = inputs
        for key in path:
            place = place[key]
        place[last] *= factor
        assert not PrintedGain(value.quoted, value.resolution, inputs).agrees


@pytest.mark.parametrize(
    ("advance", "metric", "gain"),
    [
        ("Transformer", "unequal-flops", 1.2e21 / 2.3e19),
        ("Sparse attention", "step-time", 1.33 / 0.55),
        ("Sparse attention", "kernel-time", 7),
        ("Mixture of experts", "gpu-hours", 30.84 / 2.788),
        ("Multi-query attention", "step-time", 13.2 / 13.0),
        ("Multi-query attention", "decode-latency", 46 / 3.8),
        ("Rotary positions (RoPE)", "parameter-count", 110 / 65),
        ("Layer normalization", "train-steps", 1 / 0.6),
    ],
)
def test_raw_inputs_are_the_reported_ones(advance, metric, gain):
    row = next(row for row in ROWS if (row.table, row.advance, row.metric) == ("sanderson", advance, metric))
    assert row.high.recomputed == pytest.approx(gain)


def test_values_without_raw_inputs_say_so():
    value = PrintedGain(2.0, 1.0, None)
    assert (value.recomputed, value.agrees) == (None, None)
    assert any(row.low.inputs is None for row in ROWS)


def test_further_raw_inputs_of_the_transformer():
    gains = list(ROWS[0].also.values())
    assert gains == pytest.approx([363.6, 23.3], rel=1e-2)


def test_equations():
    assert compute(2e12, 50) == 1e14
    assert ceg(10, 5) == 2
    assert floor_geometric_mean((9.0, 6.0)) == 7
    with pytest.raises(ValueError, match="variant is 0: a cost must be a positive number"):
        ceg(1, 0)
    with pytest.raises(ValueError, match="choose ratio or"):
        recompute({"rule": "mean"})


def test_different_metric_types_are_never_averaged():
    mqa = [row for row in ROWS if row.option == "mqa"]
    with pytest.raises(ValueError, match="decode-latency and step-time cannot be averaged: choose rows of one"):
        average(mqa)
    with pytest.raises(ValueError, match="no row to average"):
        average([])
    flops = [row for row in ROWS if row.advance in ("RoPE over learned", "RoPE over sinusoidal")]
    assert average(flops) == pytest.approx((1.26 * 1.44) ** 0.5)


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="choose among sanderson, gundlach"):
        load("table3")
