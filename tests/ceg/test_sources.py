"""Curves from CSV files and folders, and what a malformed source is told."""

import numpy as np
import pytest

from algoprog.ceg.gains import compute_gains
from algoprog.ceg.simulate.curves import World
from algoprog.ceg.tables.sources import read_source, read_sources

TIDY = "variant,model,seed,step,tokens,flops,seconds,val_loss\n"
GOOD = TIDY + "none,m,0,0,0,0,0,5\nnone,m,0,1,10,20,1,4\nnone,m,0,2,20,40,2,3\n"


def tidy(rng: np.random.Generator, gain: float, variant: str, header: bool) -> str:
    curve = World(noise=0.002).curve(rng, gain, variant)
    lines = [
        f"{variant},compact,0,{step:.0f},note,{loss:.6f}"
        for step, loss in zip(curve.costs["steps"], curve.val_loss, strict=True)
    ]
    return "\n".join((["variant,model,seed,step,comment,val_loss"] if header else []) + lines) + "\n"


def test_tidy_csv_with_missing_costs_and_extra_columns(tmp_path):
    path = tmp_path / "curves.csv"
    rng = np.random.default_rng(0)
    path.write_text(tidy(rng, 1.0, "none", header=True) + tidy(rng, 2.0, "rope", header=False))
    rows = compute_gains(read_sources([path]), costs=("steps",), estimators=("iso_loss",))
    assert rows[1].ceg == pytest.approx(2.0, rel=0.05)
    with pytest.raises(ValueError, match=r"curves\.csv has no column for cost flops"):
        compute_gains(read_sources([path]), costs=("flops",))


def test_wandb_export_with_gaps(tmp_path):
    path = tmp_path / "wandb.csv"
    path.write_text(
        '"Step","compact - none - val/loss","compact - none - val/loss__MIN","compact - ln+rope - val/loss"\n'
        "0,10,10,10\n500,5,5,\n1000,4,4,3.5\n"
    )
    none, joint = read_source(path)
    assert (none.variant, none.model, len(none.val_loss)) == ("none", "compact", 3)
    assert (joint.variant, list(joint.costs["steps"])) == ("ln+rope", [0.0, 1000.0])


def test_wandb_export_may_name_seeds(tmp_path):
    path = tmp_path / "wandb.csv"
    path.write_text("Step,full - ln - seed 3 - val/loss\n0,10\n500,5\n")
    assert read_source(path)[0].seed == 3


def test_nan_and_empty_losses_mean_divergence(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text(GOOD + "none,m,0,3,30,60,3,nan\n")
    assert read_source(path)[0].diverged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: it needs a header"),
        (TIDY, "is empty: it needs a header"),
        (GOOD.replace("tokens", "step"), "two columns named 'step'"),
        ("variant,seed,step,val_loss\nnone,0,1,3\n", "lacks the column model: add what is missing"),
        ("variant,model,step,loss\nnone,m,1,3\n", "lacks the column val_loss: .* --rename loss=val_loss"),
        ("arm,step,loss\nnone,1,3\n", "lacks the columns model and val_loss"),
        ("variant,model,seed,val_loss\nnone,m,1,3\n", "lacks a column of cost, flops, tokens, step or seconds"),
        ("Val Loss,val/loss,variant,model,step\n3,3,none,m,1\n", "two columns for val_loss, 'Val Loss' and 'val/loss'"),
        (GOOD + "none,m,0,3,30", "line 5 has not 8 cells"),
        (GOOD + "none,m,0,3,30,60,3,2,9\n", "line 5 has not 8 cells"),
        (GOOD + "none,m,0,3,30,60,3,low\n", "line 5: val_loss is 'low'"),
        (GOOD + "none,m,first,3,30,60,3,2\n", "line 5: seed is 'first'"),
        (GOOD + "none,m,0,2,20,40,2,3\n", "line 5: none .m, seed 0. has values of step that repeat or go back"),
        (GOOD + "ln,m,0,1,30,60,3,2\n", "one evaluation only"),
        (TIDY + "none,m,0,1,1,1,1,nan\nnone,m,0,2,2,2,2,nan\n", "no finite val_loss"),
        ("Step,loss\n1,2\n", "no column like 'compact - rope - val/loss'"),
        ("Step,compact - rope - val/loss\n1,\n2,\n", "has no value in its column"),
    ],
)
def test_malformed_csv_is_named_with_the_remedy(tmp_path, text, message):
    path = tmp_path / "curves.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_source(path)
    assert "curves.csv" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (GOOD + "none,m,0,1,30,60,3,2\n", "line 5: none .m, seed 0. has values of step that repeat or go back"),
        (TIDY + "none,m,0,-1,1,1,1,4\nnone,m,0,2,2,2,2,3\n", "line 2: .* has a negative step"),
        (TIDY + "none,m,0,1,1,1,1,4\nnone,m,0,,2,2,2,3\n", "line 3: .* has evaluations without step"),
        (TIDY + "none,m,0,1,1,1,1,4\nnone,m,0,two,2,2,2,3\n", "line 3: step is 'two'"),
        (TIDY + "none,m,0,1,1,1,1,4\nnone,m,0,inf,2,2,2,3\n", "line 3: .* has a step that is infinite"),
    ],
)
def test_a_cost_is_looked_at_where_it_is_asked_for(tmp_path, lines, message):
    path = tmp_path / "curves.csv"
    path.write_text(lines)
    (curve,) = read_source(path)
    assert curve.points("tokens")[1].tolist()[-1] == curve.val_loss[-1]
    with pytest.raises(ValueError, match=rf"curves\.csv {message}"):
        curve.cost("steps")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_bytes(b"variant\xff\xfe\x00,model\n")
    with pytest.raises(ValueError, match="is no CSV text"):
        read_source(path)


def test_two_files_with_the_same_run_are_both_named(tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ValueError, match=r"two\.csv repeats .*one\.csv"):
        compute_gains(read_sources([tmp_path / "one.csv", tmp_path / "two.csv"]))


def test_folders_and_paths_that_hold_nothing(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run"):
        read_source(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        read_source(tmp_path / "nowhere")
    (tmp_path / "curves.txt").write_text("x")
    with pytest.raises(ValueError, match=r"neither a folder nor a \.csv"):
        read_source(tmp_path / "curves.txt")
