"""Records on disk: atomic, strict, and honest about damage."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.cost import RECORDED
from algoprog.ceg.curves import curves_from_runs
from algoprog.runs.record import COMPARE, CURVE_COLUMNS, CURVE_FILE, RECORD_FILE, SCHEMA_VERSION
from algoprog.runs.store import (
    append_curve,
    find_runs,
    load_run,
    read_curve,
    write_atomic,
    write_curve,
    write_record,
)
from tests.report.conftest import Sweep, write_run

CHOICES = ("choices", "baseline", "against")
"""What the fifth schema has more."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run."""
    write_run(tmp_path / "run", Sweep(), "nano", "ln", 0, {})
    return tmp_path / "run"


def test_what_is_written_is_read_back(folder: Path) -> None:
    run = load_run(folder)
    write_record(folder / "copy", run.record)
    shutil.copy(folder / CURVE_FILE, folder / "copy")
    assert load_run(folder / "copy").record == run.record
    assert tuple(run.curve) == CURVE_COLUMNS
    assert list(find_runs(folder.parent)) == [folder, folder / "copy"]


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_of_the_first_schema_is_still_read(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    for key in ("protocol", "role", "beside", *CHOICES):
        del raw[key]
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "schema_version": 1}))
    record = load_run(folder).record
    assert (record.protocol, record.role, record.beside) == ({}, COMPARE, None)


def test_a_record_of_the_second_schema_was_to_be_compared(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    for key in ("role", "beside", *CHOICES):
        del raw[key]
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "schema_version": 2, "protocol": {"seed": 1}}))
    record = load_run(folder).record
    assert (record.protocol, record.role, record.beside) == ({"seed": 1}, COMPARE, None)
    assert record.schema_version == SCHEMA_VERSION


def test_a_record_of_the_third_schema_has_no_facts_and_was_charged_for_the_model_alone(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    for key in ("facts", "stats", "optimizer_flops", "n_active_params", "n_devices", *CHOICES):
        del raw[key]
    raw["environment"]["n_devices"] = 3
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "schema_version": 3}))
    record = load_run(folder).record
    assert (record.facts, record.stats, record.optimizer_flops) == ({}, {}, 0.0)
    assert (record.n_active_params, record.n_devices) == (record.n_params, 3)
    assert (record.axes["backbone"], record.axes["block"]) == ("transformer", "pre")
    assert record.schema_version == SCHEMA_VERSION


def test_a_record_of_the_fifth_schema_had_attention_as_its_mixer_if_it_had_attention(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    since = {"mixer": "attention", **dict.fromkeys(("qk_norm", "output_gate", "sinks", "softcap"), "none")}
    both = {"backbone": "transformer", "block": "pre", "attention": "mqa", "pos": "rope"}
    since |= {"skip": "none", "head": "tied"}
    for axes, mixers in ((both, since), ({"backbone": "lstm"}, {"head": "tied"})):
        former = {"axes": axes, "choices": {axis: {"option": option} for axis, option in axes.items()}}
        (folder / RECORD_FILE).write_text(json.dumps({**raw, **former, "schema_version": 5}))
        record = load_run(folder).record
        assert record.axes == {**mixers, **axes}
        assert record.choices == {axis: {"option": option} for axis, option in record.axes.items()}


def test_a_record_without_axes_of_training_had_their_first_options(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    former = {"axes": {"backbone": "lstm"}, "choices": {"optim": {"option": "muon"}}, "schema_version": 6}
    (folder / RECORD_FILE).write_text(json.dumps({**raw, **former}))
    choices = load_run(folder).record.choices
    assert (choices["objective"], choices["init"]) == ({"option": "next_token"}, {"option": "gpt2"})
    assert choices["optim"] == {"option": "muon"}


def test_a_curve_holds_what_a_run_has_more(tmp_path: Path) -> None:
    rows = [{**dict.fromkeys(CURVE_COLUMNS, 1.0), "optimizer_flops": 5.0 * step, "busiest": step} for step in (0, 1)]
    append_curve(tmp_path, rows[0])
    append_curve(tmp_path, rows[1])
    curve = read_curve(tmp_path / CURVE_FILE)
    assert tuple(curve) == (*CURVE_COLUMNS, "optimizer_flops", "busiest")
    assert curve["optimizer_flops"].tolist() == [0, 5]
    write_curve(tmp_path, rows)
    assert read_curve(tmp_path / CURVE_FILE)["busiest"].tolist() == [0, 1]


def test_a_record_of_the_fourth_schema_knows_its_options_without_knobs(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    for key in CHOICES:
        del raw[key]
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "schema_version": 4}))
    record = load_run(folder).record
    assert record.choices["norm"] == {"option": "ln"}
    assert (record.baseline, record.against) == ("gpt2_paper", {})


@pytest.mark.parametrize("key", ["facts", "stats", "against", "beside", "mfu", "overrides", "flags", "reason"])
def test_a_key_that_was_not_kept_yet_is_not_known(folder: Path, key: str) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    del raw[key]
    (folder / RECORD_FILE).write_text(json.dumps(raw))
    assert not getattr(load_run(folder).record, key)


def test_a_key_that_is_not_known_is_passed_over(folder: Path) -> None:
    record = load_run(folder).record
    raw = json.loads((folder / RECORD_FILE).read_text())
    raw["data"]["val_bytes"] = 5
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "carbon": 3}))
    assert load_run(folder).record == record


@pytest.mark.parametrize("column", sorted({*CURVE_COLUMNS} - {"step", "val_loss"}))
def test_a_column_that_was_not_kept_yet_is_not_known(folder: Path, column: str) -> None:
    whole = load_run(folder).curve
    with (folder / CURVE_FILE).open(newline="") as file:
        rows = [{name: value for name, value in row.items() if name != column} for row in csv.DictReader(file)]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (folder / CURVE_FILE).write_text("\n".join(lines) + "\n")
    run = load_run(folder)
    assert tuple(run.curve) == CURVE_COLUMNS
    assert np.isnan(run.curve[column]).all() or (column == "annealed" and not run.curve[column].any())
    assert all(np.array_equal(run.curve[name], whole[name], equal_nan=True) for name in CURVE_COLUMNS if name != column)
    (curve,) = curves_from_runs([run])
    axis = next((axis for axis, name in RECORDED.items() if name == column), None)
    assert {*curve.costs} & {*RECORDED} == {*RECORDED} - {axis}


def test_a_curve_that_an_older_program_began_goes_on(tmp_path: Path) -> None:
    (tmp_path / CURVE_FILE).write_text("step,val_loss\n0,5.0\n")
    append_curve(tmp_path, {"step": 1, "val_loss": 4.0, "busiest": 0.5})
    append_curve(tmp_path, {"step": 2, "val_loss": 3.0})
    curve = read_curve(tmp_path / CURVE_FILE)
    assert curve["val_loss"].tolist() == [5, 4, 3]
    assert np.isnan(curve["busiest"]).tolist() == [True, False, True]


def test_a_record_of_a_newer_program_is_kept(folder: Path) -> None:
    raw = json.loads((folder / RECORD_FILE).read_text())
    (folder / RECORD_FILE).write_text(json.dumps({**raw, "schema_version": 99}))
    with pytest.raises(ValueError, match=rf"this algoprog reads up to {SCHEMA_VERSION}\): update algoprog$"):
        load_run(folder)


def test_nan_becomes_null(folder: Path) -> None:
    write_record(folder, replace(load_run(folder).record, final_val_loss=float("nan")))
    assert json.loads((folder / RECORD_FILE).read_text())["final_val_loss"] is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"seed"', '"sead"'),
        lambda text: text.replace('"role": "compare"', '"role": "chosen"'),
        lambda text: "[]",
    ],
    ids=["truncated", "renamed key", "unknown role", "another document"],
)
def test_a_damaged_record_is_named_with_the_remedy(folder: Path, damage: object) -> None:
    path = folder / RECORD_FILE
    assert callable(damage)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=r"record\.json cannot be read") as caught:
        load_run(folder)
    assert "run it again" in str(caught.value) or "update algoprog" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("axes", None), ("axes", {"pos": 1}), ("variant", None), ("model", 5), ("seed", True), ("flags", "rising"),
        ("final_val_loss", "abc"), ("train_flops", None), ("data", None), ("data", {"name": "c4"}),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named(folder: Path, key: str, value: object) -> None:
    path = folder / RECORD_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match=rf"record\.json cannot be read \({key} is .*run it again"):
        load_run(folder)


@pytest.mark.parametrize("content", [b"step\xff\n1\n", b'step\n"' + b"1" * 200_000 + b'"\n'], ids=["bytes", "long"])
def test_a_curve_that_is_no_csv_is_named_with_the_remedy(folder: Path, content: bytes) -> None:
    (folder / CURVE_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"curve\.csv cannot be read .*run it again"):
        read_curve(folder / CURVE_FILE)


@pytest.mark.parametrize("content", ["", "step,tokens\n1,2\n", None], ids=["empty", "columns missing", "no numbers"])
def test_a_damaged_curve_is_named_with_the_remedy(folder: Path, content: str | None) -> None:
    path = folder / CURVE_FILE
    path.write_text(content if content is not None else path.read_text().replace("0.", "half"))
    with pytest.raises(ValueError, match=r"curve.csv .*run it again"):
        read_curve(path)


def test_a_missing_curve_is_named_with_the_remedy(folder: Path) -> None:
    (folder / CURVE_FILE).unlink()
    with pytest.raises(ValueError, match=r"curve.csv cannot be read .*run it again"):
        load_run(folder)
