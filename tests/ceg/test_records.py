"""Curves from algoprog's own records: every column, the gates' flags, diverged runs."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.gains import compute_gains
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tables.sources import read_sources
from algoprog.cli import main
from algoprog.runs.record import CURVE_COLUMNS, DIVERGED, DataInfo, Record
from algoprog.runs.store import append_curve, write_record

DATA = DataInfo("toy", "bytes", "0" * 64, 256, 1000, 100, 1.0)
PLAIN = {"str": "x", "int": 1, "float": 1.0, "tuple[str, ...]": ()}


def record(**changes) -> Record:
    kinds = {field.name: str(field.type) for field in fields(Record) if field.name != "schema_version"}
    values = {name: {} if kind.startswith("dict") else PLAIN.get(kind) for name, kind in kinds.items()}
    shared = {"data": DATA, "status": "finished", "cohort": "c", "role": "compare"}
    return replace(Record(**{**values, **shared}), **changes)


def write_run(folder: Path, gain: float, **changes) -> None:
    folder.mkdir(parents=True)
    curve = World(noise=0.002).curve(np.random.default_rng(4), gain, "x")
    for step, loss in zip(curve.costs["steps"], curve.val_loss, strict=True):
        costs = {"step": step, "tokens": step * 10, "flops": step * 1e6, "seconds": step / 7, "val_loss": loss}
        append_curve(folder, {column: costs.get(column, 0.0) for column in CURVE_COLUMNS})
    write_record(folder, record(**changes))


def test_a_sweeps_folder_gives_gains_on_every_axis(tmp_path):
    write_run(tmp_path / "none", 1.0, variant="none", model="nano", seed=0)
    write_run(tmp_path / "deep" / "rope", 2.0, variant="rope", model="nano", seed=0, flags=("dead-parameters",))
    write_run(tmp_path / "ln", 2.0, variant="ln", model="nano", seed=0, status=DIVERGED, reason="loss is NaN")
    rows = compute_gains(read_sources([tmp_path]))
    rope = [row for row in rows if row.variant == "rope" and row.estimator == "iso_loss"]
    assert [row.cost for row in rope] == ["flops", "tokens", "steps", "seconds"]
    assert [row.ceg for row in rope] == pytest.approx([2.0] * 4, rel=0.05)
    assert "dead-parameters" in rope[0].flags
    assert {(row.ceg, "diverged" in row.flags) for row in rows if row.variant == "ln"} == {(None, True)}


def test_an_end_that_took_longer_than_a_later_one_costs_no_more_than_its_own_point(tmp_path):
    """As on a machine that was busy with something else during one branch."""
    for variant, loss in (("none", 4.0), ("ln", 3.9)):
        (tmp_path / variant).mkdir()
        for seconds, step in ((1, 50), (2, 100), (9, 150), (6, 200)):
            end = {"annealed": 1, "val_loss": loss - step / 200, "seconds": seconds, "step": step}
            costs = {"tokens": step * 10, "flops": step * 1e6}
            append_curve(tmp_path / variant, {column: {**end, **costs}.get(column, 0.0) for column in CURVE_COLUMNS})
        write_record(tmp_path / variant, record(variant=variant, model="nano", seed=0))
    curves = read_sources([tmp_path])
    assert [curve.points("seconds")[0].tolist() for curve in curves] == [[1, 2, 6]] * 2
    assert [len(curve.points("flops")[0]) for curve in curves] == [4] * 2
    gains = {row.cost: row.ceg for row in compute_gains(curves) if row.variant == "ln" and row.estimator == "iso_loss"}
    assert all(gain is not None and gain > 1 for gain in gains.values())


def test_a_damaged_record_is_named(tmp_path):
    write_run(tmp_path / "none", 1.0, variant="none", model="nano", seed=0)
    (tmp_path / "none" / "record.json").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(ValueError, match=r"record\.json cannot be read"):
        read_sources([tmp_path])


@pytest.mark.parametrize(
    ("steps", "fault"),
    [("1 1 2", "repeat or go back"), ("1 3 2", "repeat or go back"), ("1 nan 2", "evaluations without step")],
)
def test_steps_that_do_not_rise_are_named(tmp_path, steps, fault):
    for step in steps.split():
        append_curve(tmp_path, {**dict.fromkeys(CURVE_COLUMNS, 1.0), "step": float(step), "annealed": 0})
    write_record(tmp_path, record())
    with pytest.raises(ValueError, match=rf"curve\.csv has .*{fault}"):
        read_sources([tmp_path])


def test_the_table_of_a_folder_shows_losses_and_the_gain_in_seconds(tmp_path, capsys):
    for name, gain in (("none", 1.0), ("rope", 2.0)):
        final = {"final_val_loss": 3.25, "axes": {}, "environment": {}, "protocol": {}, "context": {}}
        write_run(tmp_path / name, gain, variant=name, model="nano", seed=0, optimizer_flops=0.0, **final)
    assert main(["ceg", str(tmp_path)]) == 0
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("rope ")]
    assert row[1] == "3.250"
    assert float(row[2]) == pytest.approx(float(row[-2]), rel=0.01)  # seconds are proportional to FLOPs here
