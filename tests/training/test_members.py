"""Runs that train together come out as they would alone, and end each for itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from algoprog.run.app import prepare
from algoprog.run.stacking import alone_because, shape
from algoprog.runs.record import DIVERGED, FINISHED, Record
from algoprog.runs.status import read_status
from algoprog.runs.store import read_curve
from algoprog.training.members.turns import Request, Turns
from tests.configs import TINY_RUN, compose
from tests.training.grouped import alone, killed, together
from tests.training.resuming import EVERY_STEP, checkpoints, resumed

BOUND = 5e-6
"""Nats by which losses of members may differ from those of runs alone, in float32; docs/members.md states it."""

RUNS = {
    "first": ("seed=0", "optim.lr=1e-3"),
    "second": ("seed=0", "optim.lr=4e-3"),
    "third": ("seed=1", "optim.lr=1e-3", "optim.weight_decay=0.0"),
}


def agree(folder: Path, other: Path) -> None:
    """Every number of two curves within the bound, all that is no loss equal."""
    one, two = read_curve(folder / "curve.csv"), read_curve(other / "curve.csv")
    for column in one.keys() - {"seconds", "val_perplexity"}:
        torch.testing.assert_close(
            torch.tensor(one[column]),
            torch.tensor(two[column]),
            atol=BOUND if column.startswith(("train", "val")) else 0,
            rtol=0,
            equal_nan=True,
        )


SAME = ("run_id", "variant", "seed", "status", "steps", "train_flops", "flags", "protocol", "overrides", "role")
"""What a record says that neither the clock nor the last digits change."""


@pytest.mark.parametrize(
    "words",
    [
        ("micro_batch_size=2", "schedule.branch_ratio=2", "budget.steps=24"),
        pytest.param(
            ("norm=ln", "kernel=flash", "pos=alibi", "attention=gqa", "attention.group_size=2", "model.dropout=0.2"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("norm=rmsnorm", "mlp=swiglu", "pos=rope", "optim=muon", "model.dropout=0.1"), marks=pytest.mark.slow
        ),
        pytest.param(("mixer=gated_deltanet", "norm=ln", "mlp=swiglu"), marks=pytest.mark.slow),
        pytest.param(("skip=hyper", "norm=ln"), marks=pytest.mark.slow),
    ],
    ids=lambda words: "+".join(words[:2]),
)
def test_members_come_out_as_they_would_alone(tmp_path: Path, words: tuple[str, ...]) -> None:
    records = together(tmp_path, RUNS, *words)
    for name, record in records.items():
        own = alone(tmp_path / f"{name} alone", RUNS[name], *words)
        assert isinstance(record, Record)
        assert [getattr(record, field) for field in SAME] == [getattr(own, field) for field in SAME]
        agree(tmp_path / name, tmp_path / f"{name} alone")
        assert (record.seconds, record.tokens_per_second, record.peak_memory_bytes) == (None, None, None)
        assert record.environment["members"] == len(RUNS)
        status = read_status(tmp_path / name)
        assert status is not None
        assert status.step == record.steps


def test_one_that_explodes_ends_alone(tmp_path: Path) -> None:
    runs = {"good": ("seed=0",), "bad": ("seed=1", "optim.lr=1e6"), "other": ("seed=2",)}
    records = together(tmp_path, runs, "budget.steps=12")
    assert [record.status for record in records.values() if isinstance(record, Record)] == [
        FINISHED,
        DIVERGED,
        FINISHED,
    ]
    for name in ("good", "other"):
        alone(tmp_path / f"{name} alone", runs[name], "budget.steps=12")
        agree(tmp_path / name, tmp_path / f"{name} alone")


@pytest.mark.slow
def test_members_go_on_after_a_kill(tmp_path: Path) -> None:
    """One was done, one begins in the middle, one has a damaged checkpoint, and one of them goes on alone."""
    long = ("budget.steps=6", "evaluation.points=2", *EVERY_STEP)
    folder = tmp_path / "together"
    alone(folder / "first", RUNS["first"], *long)
    done = (folder / "first" / "record.json").read_bytes()
    killed(folder, RUNS, *long, at=4)
    for name in ("second", "third"):
        assert checkpoints(folder / name)
    checkpoints(folder / "third")[-1].write_bytes(b"damaged")
    shutil.copytree(folder / "second", tmp_path / "second goes on alone")
    records = together(folder, RUNS, *long)
    assert (folder / "first" / "record.json").read_bytes() == done
    for name in ("second", "third"):
        assert resumed(folder / name) == [3 if name == "second" else 2]
        assert isinstance(records[name], Record)
        alone(tmp_path / name, RUNS[name], *long)
        agree(folder / name, tmp_path / name)
    record = alone(tmp_path / "second goes on alone", RUNS["second"], *long)
    assert record.seconds is None, "what it took before nobody knows"
    agree(tmp_path / "second goes on alone", tmp_path / "second")


def test_what_cannot_be_stacked_is_told() -> None:
    def reason(*words: str) -> str | None:
        return alone_because(prepare(compose(*TINY_RUN, *words)))

    assert reason() is None
    assert reason("norm=ln", "attention=mla", "mlp=swiglu", "block=sandwich") is None
    assert reason("mlp=moe") == "its parts cannot be stacked"
    assert reason("norm=batchnorm", "micro_batch_size=4") == "its parts cannot be stacked"
    assert reason("trainer.compile=true") == "trainer.compile=true compiles one model"


def test_members_differ_in_what_is_tuned_alone() -> None:
    def of(*words: str) -> str:
        return shape(prepare(compose(*TINY_RUN, *words)))

    assert of() == of("seed=3", "optim.lr=0.5", "optim.weight_decay=0.3")
    assert (
        len({of(), of("norm=ln"), of("budget.steps=7"), of("batch_size=8"), of("gradient_clip=2"), of("optim=lion")})
        == 6
    )


class Ask(Request):
    def __init__(self, number: int, kind: int) -> None:
        self.number, self.rank = number, kind

    @property
    def kind(self) -> int:
        return self.rank


def test_turns_are_taken_in_order_and_an_end_is_not_waited_for() -> None:
    said: list[str] = []

    def serve(requests: Any) -> list[int]:
        said.append(f"kind {requests[0].rank} for {[request.number for request in requests]}")
        if requests[0].rank == 9:
            raise ValueError("nobody can have that")
        return [10 * request.number for request in requests]

    turns: Turns[int] = Turns(serve, lambda number: None, lambda number: said.append(f"turn of {number}"))

    def work(number: int) -> int:
        if number == 1:
            raise KeyError("at once")
        if number == 2:
            turns.ask(2, Ask(2, 0))
        answer = turns.ask(number, Ask(number, 1))
        if number == 0:
            turns.ask(0, Ask(0, 9))
        return int(answer)

    ended = turns.run([lambda number=number: work(number) for number in range(3)])
    assert [type(end) for end in ended] == [ValueError, KeyError, int]
    assert ended[2] == 20
    assert [line for line in said if line.startswith("kind")] == [
        "kind 0 for [2]",
        "kind 1 for [0, 2]",
        "kind 9 for [0]",
    ]
    assert said[:4] == ["turn of 0", "turn of 1", "turn of 2", "kind 0 for [2]"]
