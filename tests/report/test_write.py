from __future__ import annotations

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.report.figures.drawing import styled
from algoprog.report.page.section import Section, Table
from algoprog.report.summary import cohort_labels, summarise
from algoprog.report.tables.table import gains_table
from algoprog.report.write import write_report
from algoprog.runs.store import load_runs

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'<b>$x_{$"


class Page(HTMLParser):
    """What a browser would build: tags with attributes, and the text outside scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._script = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._script = None

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.text += data

    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.tags if attrs.get("id")]


@pytest.fixture
def report(write_sweep, make_gains, tmp_path):
    def write(shape, **options) -> Path:
        return write_report(tmp_path / "out", make_gains(shape), write_sweep(shape), **options)

    return write


@pytest.fixture(scope="module")
def full(measured, tmp_path_factory):
    """The page of the session's sweep, with a section of our own."""
    table = Table(HOSTILE, ("advance", "published"), ((HOSTILE, "<b>1.69</b>"),))
    with styled():
        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([1, 2])
    extra = [Section("Literature & measurement", (HOSTILE,), figure=figure, table=table)]
    return write_report(tmp_path_factory.mktemp("full"), measured.gains, measured.runs, extra=extra)


def test_figures_and_page_are_written(full):
    path = full
    names = {file.name for file in (path.parent / "figures").iterdir()}
    stems = {"loss-nano", "loss-micro", "loss-mini", "gain-flops", "gain-seconds", "gain-by-loss", "scale-dependence"}
    stems |= {"predictions", "interactions", "estimators", "literature-measurement"}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}
    for svg in (path.parent / "figures").glob("*.svg"):
        ElementTree.parse(svg)
    assert not list(path.parent.rglob("*.tmp"))


def test_every_section_is_there_and_reachable(full):
    page = Page(full)
    for title in ("Gain and target loss", "Scale dependence", "Predictions", "Interactions", "Estimators side by side"):
        assert page.text.count(title) >= 2, title
    targets = {attrs["href"] for tag, attrs in page.tags if tag == "a" and attrs.get("href")}
    assert {target.removeprefix("#") for target in targets} <= set(page.ids())
    assert "What this sweep cannot tell" not in page.text
    assert len(page.ids()) == len(set(page.ids()))


def test_the_verdict_names_scale_dependence_and_the_papers_rule(full):
    text = Page(full).text
    assert "The gain is compute-independent: ten times the compute multiplies it by 1.000" in text
    assert "the paper's two-point rule too reads it as compute-independent" in text


def test_a_section_from_outside_is_escaped_and_drawn(full):
    page = Page(full)
    assert page.text.count(HOSTILE) == 3
    assert "<b>1.69</b>" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)


def test_charts_of_sections_are_live_too(full):
    charts = json.loads(Page(full).scripts["chart-data"])["charts"]
    stems = [chart["stem"] for chart in charts]
    assert stems == ["gain-by-loss", "scale-dependence", "predictions", "interactions", "estimators"]
    assert [panel["title"] for panel in charts[0]["panels"]] == ["nano", "micro", "mini"]


def test_the_page_is_small_enough_to_send(full):
    assert full.stat().st_size < 3_000_000


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(write_sweep, make_gains, sweep, tmp_path):
    shape = sweep(models=("nano",), variants=("none", "ln"), seeds=2)
    runs, gains = write_sweep(shape), make_gains(shape)
    first, second = (write_report(tmp_path / name, gains, runs).parent for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 11
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_the_page_says_what_was_found(report, sweep):
    shape = sweep(models=("nano",), variants=("none", "mqa", "flash", "rope"))
    page = Page(report(shape, command="python train.py -m seed=0,1,2"))
    assert "rope reaches the loss of none at a lower cost: its CEG in training FLOPs is 1.900" in page.text
    assert "mqa needs a higher cost than none" in page.text
    assert "flash reaches the loss of none at a lower cost: its CEG in seconds is 1.429" in page.text
    assert "python train.py -m seed=0,1,2" in page.text
    assert "python train.py variant=rope model=nano seed=2" in page.text
    assert "5f" * 32 in page.text
    assert "0123abc" in page.text
    assert "more than 40 % of the parameters" in page.text


def test_one_seed_is_not_a_certainty(report, sweep):
    page = Page(report(sweep(models=("nano",), variants=("none", "rope"), seeds=1)))
    for reason in ("Scale dependence: it needs", "Predictions: they need three", "Noise floor: it needs an arm"):
        assert reason in page.text
    assert "rope cannot be told from none: its CEG in training FLOPs is 1.900" in page.text


def test_nothing_is_fetched(full):
    page = Page(full)
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            value = attrs.get(name) or "#"
            assert value.startswith(("#", "data:,")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", page.scripts["style"])
    assert "http" not in page.scripts["script"]
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_charts_have_data_and_a_library(full):
    page = Page(full)
    data = json.loads(page.scripts["chart-data"])
    assert list(data["styles"]) == ["none", "flash", "ln", "rope", "ln+rope"]
    assert {len(arm["band"]["mean"]) for arm in data["losses"][0]["arms"]} == {39}
    assert "Plotly" in gzip.decompress(base64.b64decode(page.scripts["plotting-library"])).decode()


def test_headers_of_tables_have_a_scope(full):
    page = Page(full)
    cells = [attrs for tag, attrs in page.tags if tag == "th"]
    assert cells
    assert all("scope" in attrs for attrs in cells)


def test_hostile_names_stay_text(report, sweep):
    names = {"rope": HOSTILE, "ln": "\x00\x1b]0;x", "mqa": "名前"}
    shape = sweep(models=("nano",), variants=("none", "rope", "ln", "mqa"), seeds=1, names=names)
    path = report(shape, command=HOSTILE)
    page = Page(path)
    assert HOSTILE in page.text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert HOSTILE in json.loads(page.scripts["chart-data"])["styles"]
    for svg in (path.parent / "figures").glob("*.svg"):
        ElementTree.parse(svg)


@pytest.mark.parametrize(
    "change",
    [
        {"models": ("nano",), "variants": ("none",)},
        {"models": ("nano",), "variants": ("rope",)},
        {"models": ("nano",), "variants": ("none", "ln", "rope"), "diverged": ("ln", "none")},
        pytest.param(
            {"models": ("nano", "micro"), "variants": ("none", "ln", "rope"), "seeds": 1, "diverged": ("ln",)},
            marks=pytest.mark.slow,
        ),
        {"models": ("nano",), "variants": ("none", "rope"), "diverged": ("none", "rope")},
        {"models": ("nano",), "variants": ("none", "rope"), "seeds": 12},
        {"models": ("../../nano",), "variants": ("none", "rope"), "seeds": 1},
    ],
)
def test_odd_sweeps(report, sweep, change):
    path = report(sweep(**change))
    assert Page(path).text.count("Verdict") == 2
    assert {file.parent.name for file in path.parent.rglob("*.svg")} == {"figures"}


def test_gains_without_runs_and_runs_without_gains(write_sweep, make_gains, sweep, tmp_path):
    shape = sweep(models=("nano",), variants=("none", "ln"), seeds=1)
    page = Page(write_report(tmp_path / "gains", make_gains(shape), []))
    assert "No curves" in page.text
    page = Page(write_report(tmp_path / "runs", [], write_sweep(shape)))
    assert "No gains" in page.text
    page = Page(write_report(tmp_path / "nothing", [], []))
    assert "No runs and no gains" in page.text


def test_a_model_without_attention_has_no_density(write_sweep, sweep, tmp_path):
    runs = write_sweep(sweep(models=("nano",), variants=("none", "ln"), seeds=1))
    without = [replace(run, record=replace(run.record, attention_density=None)) for run in runs]
    assert "100.0 %" in Page(write_report(tmp_path / "with", [], runs)).text
    assert "100.0 %" not in Page(write_report(tmp_path / "without", [], without)).text


def test_cohorts_are_told_apart_by_what_differs(write_sweep, sweep, tmp_path):
    shape = sweep(
        models=("nano",), variants=("none", "ln"), seeds=1, contexts=({"optim.eps": "0.001"}, {"optim.eps": "0.003"})
    )
    runs = write_sweep(shape)
    labels = set(cohort_labels([run.record for run in runs]).values())
    assert labels == {"nano (optim.eps=0.001)", "nano (optim.eps=0.003)"}
    path = write_report(tmp_path / "out", [], runs)
    assert len(list((path.parent / "figures").glob("loss-*.svg"))) == 2


def test_runs_of_another_baseline_are_another_table_whatever_their_length(write_sweep, sweep, tmp_path):
    runs = write_sweep(sweep(models=("nano",), variants=("none", "ln"), seeds=1))
    others = []
    for run, rows in zip(runs, (slice(None), slice(20)), strict=True):
        record = replace(run.record, baseline="gpt2", cohort="other", run_id=run.record.run_id[::-1])
        others.append(replace(run, record=record, curve={name: column[rows] for name, column in run.curve.items()}))
    groups = summarise(compute_gains(curves_from_runs(runs + others)), runs + others)
    assert {group.label for group in groups} == {"nano (baseline=gpt2_paper)", "nano (baseline=gpt2)"}
    assert all(len(arm.runs) == 1 and arm.gains for group in groups for arm in group.arms)


def test_measured_gains_of_several_cohorts_meet_their_runs(write_sweep, sweep, tmp_path):
    shape = sweep(models=("nano",), seeds=2, contexts=({"optim.eps": "0.001"}, {"optim.eps": "0.003"}))
    runs = write_sweep(shape)
    groups = summarise(compute_gains(curves_from_runs(runs)), runs)
    assert [group.label for group in groups] == ["nano (optim.eps=0.001)", "nano (optim.eps=0.003)"]
    assert all(arm.runs and arm.gains for group in groups for arm in group.arms)


def test_measured_gains_of_a_sweep(write_sweep, sweep, tmp_path):
    shape = sweep(models=("nano",), variants=("none", "mqa", "ln", "rope"), diverged=("ln",))
    runs = write_sweep(shape)
    gains = compute_gains(curves_from_runs(runs))
    page = Page(write_report(tmp_path / "out", gains, runs))
    assert "rope reaches the loss of none at a lower cost" in page.text
    assert "bound <" in page.text
    table = gains_table(gains, runs)
    assert max(map(len, table.splitlines())) == 80
    assert "reported by the run or the estimator" not in table


def test_records_are_not_changed_by_reading(write_sweep, make_gains, sweep, tmp_path):
    shape = sweep(models=("nano",), variants=("none", "ln"), seeds=1)
    runs = write_sweep(shape)
    folder = runs[0].path.parent
    write_report(folder, make_gains(shape), runs)
    assert [run.record for run in load_runs(folder)] == [run.record for run in runs]


def test_the_table_of_gains_has_a_line_a_variant_that_sorts_and_filters(full):
    page = Page(full)
    tables = [attrs for tag, attrs in page.tags if tag == "table" and attrs.get("class") == "gains"]
    costs = [attrs for tag, attrs in page.tags if tag == "input" and attrs.get("name") == "cost"]
    assert len(tables) == len(costs) == 4
    rows = [attrs["data-axes"] for tag, attrs in page.tags if tag == "tr" and "data-axes" in attrs]
    assert len(rows) == 4 * 5
    assert set(rows) == {"", "kernel", "norm", "pos", "norm pos"}
    sorted_by = [attrs["data-sort"] for tag, attrs in page.tags if tag == "th" and "data-sort" in attrs]
    assert sorted_by == ["name", "axis", "0", "1", "2", "3", "4", "5"] * 4
    assert sum(tag == "summary" for tag, _ in page.tags) >= len(rows)
    drawn = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("class") == "interval"]
    assert len(drawn) == 4 * 5 * 3
    assert all(attrs["viewbox"] and attrs["aria-label"] for attrs in drawn)


def test_a_page_of_many_variants_draws_without_a_complaint(tmp_path):
    gains = [
        Gain("nano", f"variant-{n}", "none", e, c, 3.0, "primary", 1 + n / 100, 0.9, 1.9, 3, ())
        for n in range(60)
        for e in ("iso_loss", "paper")
        for c in ("flops", "seconds")
    ]
    page = Page(write_report(tmp_path, gains, []))
    assert page.text.count("variant-59") >= 2
