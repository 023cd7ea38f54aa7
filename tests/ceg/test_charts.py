"""Charts of W&B over any x axis, and logs of speedruns."""

import pytest

from algoprog.ceg.tables import read_table
from algoprog.ceg.tables.sources import read_source
from algoprog.cli import main


def chart(path, header: str, *lines: str):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("axis", "cost"),
    [
        ("Step", "steps"),
        ("trainer/global_step", "steps"),
        ("train/tokens", "tokens"),
        ("Relative Time (Process)", "seconds"),
        ("_runtime", "seconds"),
        ("total_flops", "flops"),
    ],
)
def test_any_x_axis_that_is_a_cost(tmp_path, axis, cost):
    header = f'"{axis}","m - none - eval/loss","m - none - eval/loss__MIN","m - rope - eval/loss"'
    none, rope = read_table(chart(tmp_path / "c.csv", header, "1,5,5,4", "2,4,4,", "3,3,3,2"))
    assert none.costs[cost].tolist() == [1, 2, 3]
    assert rope.costs[cost].tolist() == [1, 3]
    assert (rope.variant, rope.model) == ("rope", "m")


def test_an_x_axis_that_is_none_is_to_be_renamed(tmp_path):
    path = chart(tmp_path / "c.csv", "epoch,m - none - val/loss", "1,5", "2,4")
    with pytest.raises(ValueError, match=r"c\.csv has no column that counts .* --rename epoch=step"):
        read_table(path)
    assert read_table(path, {"epoch": "step"})[0].costs["steps"].tolist() == [1, 2]


def test_runs_may_have_columns_of_cost_of_their_own(tmp_path):
    header = "Step,a - m - val_loss,a - m - train/tokens,a - k - val_loss,a - k - train/tokens"
    one, other = read_table(chart(tmp_path / "c.csv", header, "1,5,10,5,20", "2,4,20,4,40"))
    assert (one.costs["tokens"].tolist(), other.costs["tokens"].tolist()) == ([10, 20], [20, 40])


def test_a_run_of_one_word_is_a_variant_and_may_end_in_its_seed(tmp_path):
    header = "Step,none-seed1 - eval/loss,none_seed_2 - eval/loss,rope (seed=3) - eval/loss"
    curves = read_table(chart(tmp_path / "curves.csv", header, "1,5,5,5", "2,4,4,4"))
    assert [(c.variant, c.model, c.seed) for c in curves] == [
        ("none", "curves", 1), ("none", "curves", 2), ("rope", "curves", 3),
    ]  # fmt: skip


def test_a_grouped_chart_names_its_groups(tmp_path):
    header = "Step,variant: none - val_loss,variant: none - val_loss__MIN,variant: ln+rope - val_loss"
    curves = read_table(chart(tmp_path / "curves.csv", header, "1,5,4,5", "2,4,3,4"))
    assert [(c.variant, c.model) for c in curves] == [("none", "curves"), ("ln+rope", "curves")]


def test_another_metric_is_taken_where_it_is_stated(tmp_path):
    path = chart(tmp_path / "c.csv", "Step,m - none - paloma/bpb,m - none - val/loss", "1,1.5,5", "2,1.4,4")
    assert read_table(path)[0].val_loss.tolist() == [5, 4]
    assert read_table(path, {"paloma/bpb": "val_loss"})[0].val_loss.tolist() == [1.5, 1.4]


def log(path, losses: str, budget: int = 30, late: str = ""):
    """A log as modded-nanogpt writes it: its own source first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["import torch", 'print0(f"step:{step}/{steps} val_loss:{val_loss:.4f}")', "=" * 20, "Running Python 3.12"]
    for index, value in enumerate(losses.split()):
        lines.append(f"step:{10 * index}/{budget} val_loss:{value} train_time:{1000 * index}ms step_avg:{index}ms")
        lines.append(f"step:{10 * index + 1}/{budget} train_time:{1000 * index + 90}ms step_avg:{index}ms")
    path.write_text("\n".join([*lines, late]) + "\n")
    return path


def test_a_log_of_a_speedrun_is_a_curve_with_one_end(tmp_path):
    (curve,) = read_source(log(tmp_path / "muon.txt", "10.8 6.5 4.1 3.3"))
    assert (curve.variant, curve.model, curve.seed) == ("muon", "modded-nanogpt", 0)
    assert curve.costs["steps"].tolist() == [0, 10, 20, 30]
    assert curve.costs["seconds"].tolist() == [0, 1, 2, 3]
    assert curve.ends.tolist() == [False, False, False, True]
    (early,) = read_source(log(tmp_path / "short.txt", "10.8 6.5 4.1"))
    assert not early.ends.any()


def test_a_folder_of_logs_is_a_variant_each_with_its_seeds(tmp_path, capsys):
    for variant, end in (("adam", 3.4), ("muon", 3.3)):
        for number in range(2):
            name = f"0{number}a7b2c4-1111-2222-3333-44445555666{number}.txt"
            log(tmp_path / "runs" / variant / name, f"10.8 6.5 4.1 {end + number / 100}")
    curves = read_source(tmp_path / "runs")
    assert [(curve.variant, curve.seed) for curve in curves] == [("adam", 0), ("adam", 1), ("muon", 0), ("muon", 1)]
    assert main(["ceg", str(tmp_path / "runs"), "--baseline", "adam", "--cost", "steps"]) == 0
    assert "unpaired" in capsys.readouterr().out  # a seed of one log means nothing in another
    (alone,) = read_source(tmp_path / "runs" / "adam" / "00a7b2c4-1111-2222-3333-444455556660.txt")
    assert alone.variant == "adam"


def test_a_loss_that_is_no_number_is_divergence(tmp_path):
    (curve,) = read_source(log(tmp_path / "muon.log", "10.8 6.5 nan nan"))
    assert curve.diverged


def test_text_that_is_no_log_is_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("step one: read the docs\n")
    with pytest.raises(
        ValueError, match=r"notes\.txt is neither a folder nor a \.csv, \.tsv or \.jsonl file, nor a log"
    ):
        read_source(tmp_path / "notes.txt")
