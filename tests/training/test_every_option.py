"""Every option of every axis, found from its file: it learns, its run survives SIGKILL, and branches leave it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from algoprog.axes import AXES
from algoprog.variant import baseline
from tests.configs import options
from tests.training.resuming import finish, result, resumed

BASE = {
    "norm": "norm=ln",
    "optim": "optim.lr=1e-2",
    "schedule": "schedule=wsd",
    "precision": "precision=32",
}
"""What an option is trained with, by the axis of which it then takes the place."""

SIZE = (
    *("model.n_layers=2", "budget.steps=60", "evaluation.points=6", "model.dropout=0.1"),
    *("trainer.checkpoint_seconds=null", "trainer.checkpoint_steps=20"),
)
ENDS = ("schedule.decay_fraction=0.5", "schedule.branches=2", "schedule.branch_ratio=2")
WARMUP = ("schedule.warmup_steps=2", "schedule.warmup_fraction=null")

OWN = {
    "norm=batchnorm": ("micro_batch_size=4",),  # the batch is not cut
    "optim=sgd": ("optim.lr=1",),
    "optim=lion": ("optim.lr=3e-3",),
    "optim=adafactor": ("optim.lr=3e-2",),
    "init=torch": ("optim.lr=2e-3",),  # embeddings begin at 1
    "objective=multi_token": ("objective.n_future=2",),
}
"""Settings of their own, each for the reason that docs/options.md gives; an optimizer has its own rate."""

MODEL_AND_TRAINING = [
    (axis.name, f"{axis.word}={option}")
    for axis in AXES.values()
    if axis.owner != "data"
    for option in options(axis.name)
    if axis.name == axis.group or option == "rmsnorm"  # one norm speaks for another place
]
PRECISIONS = [("precision", f"precision={name}") for name in ("bf16-mixed", "bf16-true")]
OF_THE_BASELINE = {
    word for axis, word in MODEL_AND_TRAINING if axis != "norm" and word.endswith(f"={baseline().get(axis)}")
}
"""They train the run of `norm=ln`, which is drawn once."""

EVERY = [
    pytest.param(axis, word, id=word)
    for axis, word in (*MODEL_AND_TRAINING, *PRECISIONS)
    if word not in OF_THE_BASELINE
]


def words_of(axis: str, word: str) -> tuple[str, ...]:
    """The run of an option, with ends besides its own where the schedule has some."""
    around = (own for name, own in BASE.items() if name != axis)
    rate = ("optim.lr=1e-2",) if axis == "optim" and word not in OWN else ()
    ends = ENDS if word == "schedule=wsd" or axis != "schedule" else ()
    return (*SIZE, *around, word, *rate, *WARMUP, *ends, *OWN.get(word, ()))


def trunk(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """What no branch has measured; the own end is that of the last."""
    return [row for row in rows if row.get("annealed") != "1" or row["step"] == rows[-1]["step"]]


def test_none_is_left_out() -> None:
    """Every file of every axis is drawn, and settings are of options that there are."""
    files = {
        f"{axis.group}={option}" for axis in AXES.values() if axis.owner != "data" for option in options(axis.name)
    }
    assert files | OWN.keys() <= {word for _, word in MODEL_AND_TRAINING}


@pytest.mark.slow
@pytest.mark.parametrize(("axis", "word"), EVERY)
def test_it_learns_and_ends_alike_whatever_happens(tmp_path: Path, axis: str, word: str) -> None:
    """Loss falls over 60 steps, and a trunk that has branches and was killed has the digits of one left alone."""
    words = words_of(axis, word)
    alone = (*words, "schedule.branches=1") if ENDS[1] in words else words
    code, output = finish(tmp_path / "calm", *alone)
    assert code == 0, output
    rows, record = result(tmp_path / "calm")
    losses = [float(row["val_loss"]) for row in rows]
    assert losses[-1] < losses[0] - 0.5, losses
    assert finish(tmp_path / "killed", *words, faults={"step": 45})[0] == -9
    code, output = finish(tmp_path / "killed", *words)
    assert code == 0, output
    assert resumed(tmp_path / "killed") == [40]
    its_rows, its_record = result(tmp_path / "killed")
    assert trunk(its_rows) == rows
    if alone == words:
        assert its_record == record
    else:
        assert len(its_rows) > len(rows), "it has branches"
