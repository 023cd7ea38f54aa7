"""Published tables, given again by the curves that stand beside them."""

import csv
import io
from pathlib import Path

import pytest

from algoprog.ceg.gains import compute_gains
from algoprog.ceg.tables import read_table
from algoprog.ceg.tables.save import curves_csv
from algoprog.ceg.tables.sources import read_source
from algoprog.ceg.write import gains_csv
from algoprog.cli import main

CASES, DOCS = Path(__file__).parent / "cases", Path(__file__).parents[2] / "docs"

OF_RECORDS = "embedding-heavy"
"""A flag that only the record of a run tells."""

PUBLISHED = {
    "adam": 5625, "adamh": 4875, "shampoo": 4100, "muon_first": 3600, "muon_wd25": 3375, "muon_lr35": 3350,
    "newton": 3275, "normuonh": 3250, "soaph": 3125, "spectral": 8225,
}  # fmt: skip
"""Steps to 3.28 nats of track 3 of modded-nanogpt; muon_tuned took 3250."""


def test_a_published_race_of_optimizers_is_replicated():
    curves = read_table(CASES / "track3.csv")
    rows = compute_gains(curves, baseline="muon_tuned", target=3.28, costs=("steps",), estimators=("iso_loss",))
    found = {row.variant: row for row in rows if row.variant in PUBLISHED}
    truth = {name: 3250 / steps for name, steps in PUBLISHED.items()}
    assert {name: row.ceg for name, row in found.items()} == pytest.approx(truth, rel=0.03)
    known = {name: row for name, row in found.items() if row.ci_low is not None}
    covered = [name for name, row in known.items() if row.ci_low <= truth[name] <= row.ci_high]
    assert len(known) >= 8
    assert len(covered) >= 0.8 * len(known)


@pytest.mark.parametrize(
    ("curves", "gains"),
    [
        ("demo/curves.csv", "demo/gains.csv"),
        ("demo/curves-other-seeds.csv", "demo/gains-other-seeds.csv"),
        ("ladder/curves.csv", "ladder/gains.csv"),
        ("ladder/curves-twice-as-dense.csv", "ladder/gains-twice-as-dense.csv"),
        ("measurements/options-curves.csv", "measurements/options.csv"),
        ("measurements/ten-options-curves.csv", "measurements/ten-options.csv"),
    ],
)
def test_the_curves_of_a_published_table_give_it_again(curves, gains):
    again = list(csv.DictReader(io.StringIO(gains_csv(compute_gains(read_table(DOCS / curves))))))
    with (DOCS / gains).open(newline="") as file:
        published = list(csv.DictReader(file))
    assert len(again) == len(published)
    for row, old in zip(sorted(again, key=_place), sorted(published, key=_place), strict=True):
        known = {**old, "flags": " ".join(flag for flag in old["flags"].split() if flag != OF_RECORDS)}
        assert {key: _value(row[key]) for key in old} == {key: _value(text) for key, text in known.items()}


def _place(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[key] for key in ("model", "variant", "estimator", "cost", "kind"))


def _value(text: str) -> object:
    try:
        return pytest.approx(float(text), rel=1e-6)
    except ValueError:
        return text


@pytest.mark.parametrize("folder", ["demo", "ladder"])
def test_a_folder_of_a_published_table_is_read_by_its_curves(folder):
    assert len(read_source(DOCS / folder)) == len(read_table(DOCS / folder / "curves.csv"))


def test_a_table_of_gains_is_told_from_curves(capsys, tmp_path):
    assert main(["ceg", str(DOCS / "demo" / "gains.csv")]) == 2
    assert "gains.csv is a table of gains" in capsys.readouterr().err
    (tmp_path / "gains.csv").write_bytes((DOCS / "demo" / "gains.csv").read_bytes())
    for command in ("ceg", "report"):
        assert main([command, str(tmp_path)]) == 2
        assert "holds gains.csv, a table of gains, and neither records nor curves" in capsys.readouterr().err


def test_curves_that_are_saved_are_the_same_curves(tmp_path):
    for path in (CASES / "track3.csv", DOCS / "demo" / "curves.csv"):
        before = read_table(path)
        (tmp_path / "again.csv").write_text(curves_csv(before))
        after = read_table(tmp_path / "again.csv")
        assert [(c.variant, c.model, c.seed, c.role, c.cohort) for c in after] == [
            (c.variant, c.model, c.seed, c.role, c.cohort) for c in before
        ]
        for one, other in zip(before, after, strict=True):
            assert one.val_loss.tolist() == other.val_loss.tolist()
            assert {axis: cost.tolist() for axis, cost in one.costs.items()} == {
                axis: cost.tolist() for axis, cost in other.costs.items()
            }


def test_the_command_saves_what_it_read(tmp_path, capsys):
    path = tmp_path / "saved.csv"
    words = ["--baseline", "muon_tuned", "--cost", "steps", "--estimator", "iso_loss"]
    assert main(["ceg", str(CASES / "track3.csv"), *words, "--save-curves", str(path)]) == 0
    first = capsys.readouterr().out
    assert main(["ceg", str(path), *words]) == 0
    assert capsys.readouterr().out == first
