"""Measured gains beside the literature: joined by option, flagged where they are gains of different things."""

from types import SimpleNamespace

import pytest

from algoprog.literature.compare import REASONS, closest, compare
from algoprog.literature.figure import literature_figure
from algoprog.literature.table import comparison_table, literature_table
from algoprog.report.figures.drawing import to_svg


def gain(variant, cost="flops", ceg=1.3, low=1.2, high=1.4, model="small", kind="primary"):
    return SimpleNamespace(variant=variant, model=model, cost=cost, kind=kind, ceg=ceg, ci_low=low, ci_high=high)


def found(measured, advance, metric):
    rows = [c for c in compare(measured) if c.row and c.gain]
    return [c for c in rows if (c.row.advance, c.row.metric) == (advance, metric)]


def test_the_same_metric_and_reference_can_be_compared():
    (same,) = found([gain("rope")], "RoPE over learned", "train-flops")
    assert (same.flags, same.agrees, same.comparable) == ((), True, True)
    (other,) = found([gain("rope", low=1.31, high=1.5)], "RoPE over learned", "train-flops")
    assert other.agrees is False


@pytest.mark.parametrize(
    ("measured", "advance", "metric", "flag"),
    [
        (gain("mqa"), "Multi-query attention", "decode-latency", "metric-differs"),
        (gain("flash", "seconds"), "FlashAttention", "train-flops", "metric-differs"),
        (gain("rmsnorm"), "RMSNorm over LayerNorm", "train-flops", "other-reference"),
        (gain("rope"), "RoPE over sinusoidal", "train-flops", "other-reference"),
        (gain("flash(x=1)"), "FlashAttention", "train-flops", "other-knobs"),
        (gain("swiglu", low=None, high=None), "SwiGLU over GELU", "train-flops", "no-interval"),
    ],
)
def test_what_forbids_the_comparison_is_flagged(measured, advance, metric, flag):
    (comparison,) = found([measured], advance, metric)
    assert comparison.flags == (flag,)
    assert comparison.agrees is None
    assert comparison.comparable == (flag == "no-interval")


def test_a_bound_is_an_interval_open_on_one_side():
    upper = gain("swiglu", ceg=1.1, low=None, high=1.1, kind="bound")
    lower = gain("swiglu", ceg=1.1, low=1.1, high=None, kind="bound")
    verdicts = [found([bound], "SwiGLU over GELU", "train-flops")[0].agrees for bound in (upper, lower)]
    assert verdicts == [False, True]


def test_nothing_is_lost_and_nothing_is_invented():
    measured = [gain("ln+rope+flash"), gain("none"), gain("gqa", ceg=None), gain("ln", "steps")]
    comparisons = compare(measured)
    assert [c.gain.variant for c in comparisons if c.row is None] == ["ln+rope+flash"]
    assert [c.gain.variant for c in comparisons if c.row and c.gain] == ["ln"]
    assert len([c for c in comparisons if c.row]) == 48
    assert {flag for c in comparisons for flag in c.flags} <= REASONS.keys()


def test_the_closest_metric_is_shown():
    measured = [gain("ln"), gain("ln", "steps"), gain("flash"), gain("flash", "seconds"), gain("flash", model="full")]
    shown = {(c.row.metric, c.gain.model): c.gain.cost for c in closest(compare(measured)) if c.gain}
    assert shown[("train-steps", "small")] == "steps"
    assert shown[("train-flops", "small")] == "flops"
    assert shown[("step-time", "small")] == "seconds"
    assert shown[("step-time", "full")] == "flops"


@pytest.mark.parametrize("width", [80, 120])
def test_tables_are_plain_and_fit(width):
    long = gain("sparse(block=64,selected=4)", model="a-very-long-model-name", ceg=12345.6, low=1000.123, high=99999.9)
    measured = [long, gain("mqa", ceg=0.9, low=None, high=0.9, kind="bound"), gain("größe")]
    text = literature_table(width) + comparison_table(compare(measured), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii()
    assert "metric-differs" in text


def test_a_table_says_when_it_cannot_be_drawn():
    with pytest.raises(ValueError, match="give it at least 80"):
        literature_table(60)
    assert comparison_table(compare([])) == "No measured gain to hold against the literature.\n"


def test_the_figure_shows_reported_and_measured_gains():
    measured = [gain("rope"), gain("mqa", low=None, high=1.3, kind="bound"), gain("ln+rope")]
    svg = to_svg(literature_figure(compare(measured)))
    for text in ("RoPE over learned", "rope 1.300 (small, flops)", "10 to 50", "mqa 1.300"):
        assert text in svg
    assert "ln+rope" not in svg
    assert "measured" not in to_svg(literature_figure(compare([])))
