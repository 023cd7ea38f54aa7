"""The report of a sweep of two phases: trials are shown and priced, and are no part of any comparison."""

from dataclasses import replace

import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import compute_gains
from algoprog.report.summary import summarise
from algoprog.report.write import write_report

RATES = {"0.001": 0.06, "0.002": 0.0, "0.004": 0.07}


@pytest.fixture(scope="module")
def runs(write_sweep, sweep):
    """Three arms compared over two seeds, and a search of two of them: the kernel shares the baseline's."""
    contexts = ({"optim.lr": "0.0021"},)
    compared = write_sweep(sweep(models=("nano",), variants=("none", "rope", "flash"), seeds=2, contexts=contexts))
    contexts = tuple({"optim.lr": rate} for rate in RATES)
    tried = write_sweep(sweep(models=("nano",), variants=("none", "rope"), seeds=1, contexts=contexts))
    return [*compared, *map(trial, tried)]


def trial(run):
    """The run as a trial, off by what its rate costs."""
    off = RATES[run.record.context["optim.lr"]]
    curve = {**run.curve, "val_loss": run.curve["val_loss"] + off}
    return replace(run, record=replace(run.record, role="search", seed=1000), curve=curve)


def test_the_page_shows_what_was_tried_and_compares_none_of_it(runs, tmp_path):
    gains = compute_gains(curves_from_runs(runs))
    (group,) = summarise(gains, runs)
    assert {run.record.seed for run in group.runs} == {0, 1}
    assert {(arm.variant, arm.gain("iso_loss", "flops").trials) for arm in group.arms} == {
        ("none", 3),
        ("rope", 3),
        ("flash", 3),
    }
    page = write_report(tmp_path, gains, runs).read_text()
    assert 'data-chart="learning-rate"' in page
    assert (tmp_path / "figures" / "learning-rate.svg").exists()
    assert "0.001: " in page
    assert "seeds that are kept for that (1000)" in page
    assert "untuned " in page
    assert "What was run for the search alone" in page
    assert "Gain at every learning rate" not in page
