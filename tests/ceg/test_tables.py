"""Tables that others wrote: their names, their gaps, their formats."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from algoprog.ceg.gains import compute_gains
from algoprog.ceg.noise_floor import aa_variants
from algoprog.ceg.pairs.ends import join_budgets
from algoprog.ceg.tables import read_table
from algoprog.ceg.tables.sources import read_source
from algoprog.cli import main

STEPS = range(10, 401, 10)


def loss(step: float, gain: float = 1.0) -> float:
    return 2 + 6 * (gain * step) ** -0.4


def lines(variant: str, gain: float = 1.0, **more: object) -> list[dict[str, object]]:
    """Evaluations of one run, with further columns before the loss."""
    return [{"variant": variant, "model": "m", "step": s, **more, "val_loss": loss(s, gain)} for s in STEPS]


def text(rows: list[dict[str, object]], separator: str = ",") -> str:
    cells = [[str(row[name]) for name in rows[0]] for row in rows]
    return "\n".join(separator.join(row) for row in [list(rows[0]), *cells]) + "\n"


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text(text(rows), encoding="utf-8")
    return path


def gain_of(path: Path, cost: str = "steps", **settings: object) -> float:
    rows = compute_gains(read_source(path), costs=(cost,), estimators=("iso_loss",), **settings)
    return next(row.ceg for row in rows if row.variant == "arm")


TWO = [*lines("none"), *lines("arm", 2.0)]


def renamed(**names: str) -> list[dict[str, object]]:
    return [{names.get(name, name): value for name, value in row.items()} for row in TWO]


@pytest.mark.parametrize(
    "names",
    [
        {"variant": "Variant", "model": "Model", "step": "Step", "val_loss": "Val Loss"},
        {"step": "trainer/global_step", "val_loss": "eval/loss"},
        {"variant": "run_name", "model": "model_size", "step": "iteration", "val_loss": "validation_loss"},
        {"step": "_step", "val_loss": "metrics/val_loss"},
        {"step": "train/iter", "val_loss": "VAL-LOSS"},
    ],
)
def test_usual_names_are_found(tmp_path, names):
    assert gain_of(write(tmp_path / "c.csv", renamed(**names))) == pytest.approx(2.0, rel=0.02)


def test_a_stated_name_counts_before_all_others(tmp_path, capsys):
    rows = [{**row, "val_loss": 99.0 + row["step"], "loss": row["val_loss"]} for row in TWO]
    path = write(tmp_path / "c.csv", rows)
    assert read_table(path, {"loss": "val_loss"})[0].val_loss[-1] == pytest.approx(loss(400))
    assert main(["ceg", str(path), "--cost", "steps", "--rename", "loss=val_loss"]) == 0
    assert "2.000" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"c\.csv has no column 'lost' to rename to val_loss: it has .*loss"):
        read_table(path, {"lost": "val_loss"})
    with pytest.raises(SystemExit):
        main(["ceg", str(path), "--rename", "loss=lass"])
    assert "loss=lass must be YOURS=OURS, where OURS is one of variant, model" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_tabs_are_read(tmp_path, suffix):
    path = tmp_path / f"c.{suffix}"
    path.write_text(text(TWO, "\t"))
    assert gain_of(path) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("form", ["lines", "nested", "list"])
def test_json_objects_are_read(tmp_path, form):
    rows = list(TWO)
    if form == "nested":
        rows = [
            {key: row[key] for key in ("variant", "model")}
            | {"trainer": {"global_step": row["step"]}, "eval": {"loss": row["val_loss"]}}
            for row in TWO
        ]
        rows.insert(3, {"variant": "none", "model": "m", "trainer": {"global_step": 35}, "train": {"loss": 3.0}})
    path = tmp_path / ("c.json" if form == "list" else "c.jsonl")
    path.write_text(json.dumps(rows) if form == "list" else "\n".join(map(json.dumps, rows)) + "\n\n")
    assert gain_of(path) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"variant": "none"}\n{"variant":', r"c\.jsonl line 2 is no JSON .*: write one object a line"),
        ('{"variant": "none"}\n3\n', r"c\.jsonl line 2 is no JSON object"),
        ("\n", r"c\.jsonl is empty"),
        ("[1, 2", r"c\.jsonl is no JSON"),
    ],
)
def test_json_that_is_damaged_is_named_by_its_line(tmp_path, content, message):
    path = tmp_path / "c.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_lines_without_a_loss_are_training_that_was_logged(tmp_path):
    rows = [{**row, "val_loss": row["val_loss"] if row["step"] % 40 == 0 else ""} for row in TWO]
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert [len(curve.val_loss) for curve in curves] == [10, 10]
    assert not any(curve.diverged for curve in curves)


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "null", "None", "-"])
def test_a_word_for_nothing_is_an_empty_cell(tmp_path, word):
    """What programs put into the cells of lines that are training, of a run that goes on."""
    rows = [{**row, "val_loss": row["val_loss"] if row["step"] % 40 == 20 else word} for row in TWO]
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert [len(curve.val_loss) for curve in curves] == [10, 10]
    assert not any(curve.diverged for curve in curves)
    lost = [{**row, "val_loss": "nan"} if row["variant"] == "arm" and row["step"] > 300 else row for row in rows]
    assert [curve.diverged for curve in read_table(write(tmp_path / "c.csv", lost))] == [False, True]


def test_a_run_that_ends_in_nan_is_lost_whatever_follows_it(tmp_path):
    end = [{**row, "val_loss": "nan"} if row["step"] > 390 else row for row in lines("arm", 2.0)]
    curves = read_table(write(tmp_path / "c.csv", [*lines("none"), *end, *lines("arm", 2.0)]))
    assert [(curve.variant, curve.seed, curve.diverged) for curve in curves] == [
        ("none", 0, False), ("arm", 0, True), ("arm", 1, False),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["nan", "", "inf", "N/A"])
def test_a_seed_that_is_lost_throughout_is_a_diverged_row(tmp_path, word):
    rows = [{**row, "seed": seed} for seed in (0, 1, 2) for row in TWO]
    rows = [{**r, "val_loss": word} if (r["variant"], r["seed"]) == ("arm", 2) else r for r in rows]
    curves = read_table(write(tmp_path / "c.csv", rows))
    (row,) = [r for r in compute_gains(curves, costs=("steps",), estimators=("iso_loss",)) if r.variant == "arm"]
    assert (row.n_seeds, row.n_diverged) == (2, 1)
    assert "diverged" in row.flags
    assert row.ceg == pytest.approx(2.0, rel=0.02)


def test_a_seed_that_explodes_is_diverged_without_a_nan(tmp_path):
    rows = [{**row, "seed": seed} for seed in (0, 1, 2) for row in TWO]
    lost = [row for row in rows if (row["variant"], row["seed"]) == ("arm", 1) and row["step"] > 300]
    for row in lost:
        row["val_loss"] = 8.5
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert [(curve.variant, curve.seed) for curve in curves if curve.diverged] == [("arm", 1)]


def test_an_arm_with_another_kernel_and_another_knob_is_no_test_of_noise(tmp_path):
    arms = {"ln": ("math", 1.2), "gelu(expansion=8.0)+flash": ("flash", 1.4), "flash": ("flash", 1.0)}
    rng = np.random.default_rng(0)
    rows = [
        {**row, "seed": seed, "kernel": kernel, "val_loss": row["val_loss"] + 0.002 * rng.normal()}
        for seed in range(3)
        for name, (kernel, gain) in {"none": ("math", 1.0), **arms}.items()
        for row in lines(name, gain)
    ]
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert aa_variants(curves) == ("flash",)
    found = {row.variant: row for row in compute_gains(curves, costs=("steps",), estimators=("iso_loss",))}
    assert {name for name, row in found.items() if row.finding} == {"ln", "gelu(expansion=8.0)+flash"}


def test_losses_that_end_before_their_run_are_nan_as_tables_write_it(tmp_path):
    rows = [{**row, "val_loss": ""} if row["variant"] == "arm" and row["step"] > 300 else row for row in TWO]
    none, arm = read_table(write(tmp_path / "c.csv", rows))
    assert (none.diverged, arm.diverged) == (False, True)
    ended = [{**row, "val_loss": ""} if row["step"] > 390 else row for row in TWO]
    assert not any(curve.diverged for curve in read_table(write(tmp_path / "d.csv", ended)))


def test_seeds_need_no_number(tmp_path):
    rows = [*lines("none"), *lines("none"), *lines("arm", 2.0), *lines("arm", 2.0)]
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert [(curve.variant, curve.seed) for curve in curves] == [("none", 0), ("none", 1), ("arm", 0), ("arm", 1)]
    mixed = [row for pair in zip(lines("none"), lines("none"), strict=True) for row in pair]
    with pytest.raises(ValueError, match=r"c\.csv line 3: .* repeat or go back: .* tell runs apart by their seed"):
        read_table(write(tmp_path / "c.csv", mixed))


def test_tokens_follow_from_steps_and_batch(tmp_path):
    rows = [*lines("none", batch_size=8, seq_len=32), *lines("arm", 2.0, batch_size=16, seq_len=32)]
    none, arm = read_table(path := write(tmp_path / "c.csv", rows))
    assert (none.costs["tokens"][-1], arm.costs["tokens"][-1]) == (400 * 8 * 32, 400 * 16 * 32)
    assert gain_of(path, "tokens") == pytest.approx(1.0, rel=0.02)
    grown = [{**row, "batch": 100 if row["step"] <= 200 else 200} for row in lines("none")]
    assert read_table(write(tmp_path / "d.csv", grown))[0].costs["tokens"][-1] == 200 * 100 + 200 * 200


@pytest.mark.parametrize("names", [("100", "200", "400"), ("short", "middle", "long")])
def test_budgets_are_runs_of_their_own_and_join_at_their_ends(tmp_path, names):
    rows = [
        {"variant": "none", "model": "m", "budget": name, "step": step, "val_loss": loss(step) + 0.1 * (1 - step / end)}
        for name, end in zip(names, (100, 200, 400), strict=True)
        for step in range(10, end + 1, 10)
    ]
    curves = read_table(write(tmp_path / "c.csv", rows))
    assert [int(curve.ends.sum()) for curve in curves] == [1, 2, 3]
    (joined,) = join_budgets(curves)
    assert joined.costs["steps"].tolist() == [100, 200, 400]


def test_a_run_that_stopped_before_its_budget_has_no_end(tmp_path):
    rows = [{**row, "budget": 400} for row in TWO if row["variant"] == "none" or row["step"] <= 200]
    none, arm = read_table(write(tmp_path / "c.csv", rows))
    assert (none.ends.any(), arm.ends.any()) == (True, False)


def test_runs_of_several_batches_are_told_apart(tmp_path):
    arms = (("none", 1.0), ("arm", 2.0))
    rows = [row for batch in (8, 16) for arm, gain in arms for row in lines(arm, gain, batch=batch)]
    curves = read_table(write(tmp_path / "c.csv", rows))
    gains = compute_gains(curves, costs=("steps",), estimators=("iso_loss",))
    assert {row.model for row in gains} == {"m@8", "m@16"}


def test_a_rate_that_falls_to_nothing_is_a_schedule(tmp_path):
    rows = [{**row, "lr": 1 - row["step"] / 400} for row in lines("none")]
    (curve,) = read_table(write(tmp_path / "c.csv", rows))
    assert np.flatnonzero(curve.ends).tolist() == [37, 38, 39]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("none,m", '"none,m', 1), r"c\.csv is no CSV text .*: export it again"),
        (lambda t: t.replace(",", "|"), r"c\.csv separates its columns by bars"),
        (lambda t: t.replace("arm,m", '"a\n' + "r" * 200 + 'm",m', 1), r"a\\nr+\.\. .m, seed 0.* one evaluation only"),
        (lambda t: t.replace("m,10", ",10", 1), r"c\.csv line 2: model is empty"),
        (lambda t: t.replace("val_loss", "train loss"), r"--rename 'train loss'=val_loss"),
    ],
)
def test_mistakes_of_others_are_one_sentence(tmp_path, change, message):
    path = tmp_path / "c.csv"
    path.write_text(change(text(TWO)))
    with pytest.raises(ValueError, match=message) as error:
        read_table(path)
    assert "\n" not in str(error.value)


def test_trials_alone_are_not_compared(tmp_path):
    rows = [{**row, "role": "search"} for row in TWO]
    with pytest.raises(ValueError, match=r"all runs in .*c\.csv are trials of a search"):
        gain_of(write(tmp_path / "c.csv", rows))


def test_what_spreadsheets_add_is_passed_over(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text(text(TWO).replace("\nnone,m,20,", "\n,,,\n\nnone,m,20,", 1) + ",,,\n\n")
    assert gain_of(path) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_comments_and_empty_lines_in_front_of_the_header_are_passed_over(tmp_path, delimiter):
    path = tmp_path / "c.csv"
    path.write_text("\n# exported, by hand\n\n" + text(TWO).replace(",", delimiter))
    assert gain_of(path) == pytest.approx(2.0, rel=0.02)


def test_the_table_of_a_csv_shows_losses(tmp_path, capsys):
    rows = [{**row, "flops": row["step"], "seed": seed} for row in TWO for seed in (0, 1)]
    rows = [*rows, *({**row, "variant": "lost", "val_loss": "nan"} for row in rows if row["variant"] == "arm")]
    assert main(["ceg", str(write(tmp_path / "c.csv", sorted(rows, key=lambda row: row["seed"])))]) == 0
    table = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert table["none"][1] == f"{loss(400):.3f}"
    assert table["lost"][1] == "diverged"


def test_names_of_any_script_are_printed_whatever_the_locale(tmp_path, monkeypatch):
    path = write(tmp_path / "größe.csv", [{**row, "model": "größe 模型"} for row in TWO])
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1"))
    assert main(["ceg", str(path), "--cost", "steps", "--format", "csv"]) == 0
    sys.stdout.flush()
    assert "größe 模型" in printed.getvalue().decode("utf-8")
