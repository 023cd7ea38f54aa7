"""A killed run that goes on ends as one that was never killed: to the last digit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.record import DIVERGED
from algoprog.training.state import checkpoint
from tests.training.resuming import (
    EVERY_STEP,
    checkpoints,
    finish,
    replace,
    result,
    resumed,
    rewrite,
    said,
    start,
    wait_for,
)

DROPOUT = ("model.dropout=0.3", "norm=ln", "budget.steps=10")
BRANCHES = (
    *("schedule=wsd", "schedule.branches=3", "schedule.branch_ratio=1.6", "schedule.warmup_steps=1"),
    *("schedule.decay_fraction=0.4", "budget.steps=16", "model.dropout=0.3"),
)
BF16 = ("precision=bf16-mixed", "kernel=flash", "attention=sparse", "gradient_clip=0.05", "optim.lr=1e-2")
NAN = ("optim.lr=1e30", "evaluation.points=null", "evaluation.every=1000", "budget.steps=30")

KILLS = {
    "before the first checkpoint": (DROPOUT, {"step": 1}, []),
    "after it": (DROPOUT, {"step": 2}, [1]),
    "before the last step": (DROPOUT, {"step": 9}, [8]),
    "at the last step": (DROPOUT, {"step": 10}, [9]),
    "behind a row": (DROPOUT, {"row": 3}, [4]),
    "behind the last row": (DROPOUT, {"row": 4}, [9]),
    "in the first write": (DROPOUT, {"write": 1}, []),
    "in a later write": (DROPOUT, {"write": 5}, [4]),
    "whole batches": ((*DROPOUT, "micro_batch_size=4"), {"step": 6}, [5]),
    "single sequences": ((*DROPOUT, "micro_batch_size=1"), {"step": 6}, [5]),
    "rare checkpoints": ((*DROPOUT, "trainer.checkpoint_steps=3", "evaluation.points=10"), {"step": 9}, [6]),
    "in a branch": (BRANCHES, {"branch": 1}, [3]),
    "in another branch": (BRANCHES, {"branch": 2}, [5]),
    "behind a branch": (BRANCHES, {"step": 9}, [8]),
    "bf16": ((*BF16, "budget.steps=8"), {"step": 5}, [4]),
    "diverging": (NAN, {"step": 7}, [6]),
    "diverged": (NAN, {"row": 2}, [9]),
}


QUICK = ("in another branch",)

Calm = Callable[..., tuple[list[dict[str, str]], dict[str, Any]]]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What a run of these words leaves that nobody disturbs."""

    @cache
    def calm(*words: str) -> Any:
        folder = tmp_path_factory.mktemp("calm")
        code, output = finish(folder, *words)
        assert code == 0, output
        return result(folder)

    return calm


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in KILLS]
)
def test_a_killed_run_ends_like_an_undisturbed_one(calm: Calm, tmp_path: Path, case: str) -> None:
    overrides, faults, expected = KILLS[case]
    words = (*EVERY_STEP, *overrides)
    assert finish(tmp_path / "killed", *words, faults=faults)[0] == -9
    assert not (tmp_path / "killed" / "record.json").exists()
    code, output = finish(tmp_path / "killed", *words)
    assert code == 0, output
    assert resumed(tmp_path / "killed") == expected
    assert result(tmp_path / "killed") == calm(*words)
    assert not checkpoints(tmp_path / "killed")
    assert len(metrics(tmp_path / "killed")) == len(calm(*words)[0]), "no gap and no double"
    if case.startswith("diverg"):
        assert result(tmp_path / "killed")[1]["status"] == DIVERGED


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_checkpoints_do_not_change_a_run(calm: Calm) -> None:
    for overrides in (DROPOUT, BRANCHES):
        assert calm(*overrides)[0] == calm(*EVERY_STEP, *overrides)[0]


@pytest.mark.slow
def test_a_run_killed_again_and_again(calm: Calm, tmp_path: Path) -> None:
    kills = ({"step": 3}, {"step": 4}, {"row": 2}, {"branch": 1}, {"write": 2}, {"write": 1}, {"step": 11}, {"row": 1})
    words = (*EVERY_STEP, *BRANCHES)
    for faults in kills:
        assert finish(tmp_path / "killed", *words, faults=faults)[0] == -9, faults
    assert finish(tmp_path / "killed", *words)[0] == 0
    steps = resumed(tmp_path / "killed")
    assert len(steps) > 4
    assert steps == sorted(steps)
    assert result(tmp_path / "killed") == calm(*words)


@pytest.mark.slow
def test_a_run_killed_from_outside(calm: Calm, tmp_path: Path) -> None:
    """At whatever moment it comes to, with checkpoints by time."""
    words = ("budget.steps=60", "model.dropout=0.3", "trainer.checkpoint_seconds=0")
    killed = 0
    for seen in range(4):
        process = start(tmp_path / "killed", *words)
        before = {path.name for path in checkpoints(tmp_path / "killed")}
        wait_for(lambda b=before: {path.name for path in checkpoints(tmp_path / "killed")} - b, process)
        process.kill()
        process.join()
        killed += process.exitcode == -9
        assert len(checkpoints(tmp_path / "killed")) <= 3, "two, and one about to go"
        assert seen == 0 or "going on from the checkpoint" in said(tmp_path / "killed")
    assert killed >= 2
    assert finish(tmp_path / "killed", *words)[0] == 0
    assert result(tmp_path / "killed") == calm(*words)


def test_seconds_count_what_led_to_the_result(tmp_path: Path) -> None:
    """Neither start-ups nor checkpoints, which take hours here, nor the step that a kill made vain."""
    words = ("budget.steps=12", "evaluation.points=12", "micro_batch_size=4", *EVERY_STEP)
    assert finish(tmp_path, *words, faults={"clock": 3600, "step": 8})[0] == -9
    assert finish(tmp_path, *words, faults={"clock": 3600})[0] == 0
    with (tmp_path / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == [float(row["step"]) for row in rows]


def test_what_differs_is_named(tmp_path: Path) -> None:
    words = ("budget.steps=6", *EVERY_STEP)
    finish(tmp_path, *words, faults={"step": 4})
    path = checkpoints(tmp_path)[-1]
    here = checkpoint.read(path)[checkpoint.STATE]["environment"]
    there = {"git_commit": "0" * 40, "threads": 7, "device": "abacus", "platform": "elsewhere", "compile": True}
    rewrite(path, environment={**here, **there, "versions": {**here["versions"], "torch": "1.0"}})
    code, output = finish(tmp_path, *words)
    assert code == 0
    (line,) = [line for line in output.splitlines() if line.startswith("it was written")]
    for part in ("by commit 00000000, here is", "with 7 CPU threads, here 1", "on abacus, here on", "another platform"):
        assert part in line
    assert "with compile True, here False" in line
    assert "with torch 1.0, here" in line
    (entry,) = json.loads((tmp_path / "record.json").read_text())["environment"]["resumed"]
    assert entry["commit"] == "0" * 40
    assert entry["differs"].keys() - {"git_dirty"} == {*there, "torch"}
    assert entry["differs"]["threads"] == [7, 1]


def test_an_older_checkpoint_is_used(tmp_path: Path) -> None:
    """It named the commit alone."""
    finish(tmp_path, *EVERY_STEP, faults={"step": 4})
    path = checkpoints(tmp_path)[-1]
    content = checkpoint.read(path)
    content[checkpoint.STATE]["commit"] = content[checkpoint.STATE].pop("environment")["git_commit"]
    replace(path, content)
    assert finish(tmp_path, *EVERY_STEP)[0] == 0
    assert resumed(tmp_path) == [3]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    assert finish(tmp_path)[0] == 0
    before = (tmp_path / "record.json").read_bytes()
    code, output = finish(tmp_path, "trainer.checkpoint_steps=1", "trainer.threads=null")
    assert code == 0
    assert "is finished already" in output
    assert (tmp_path / "record.json").read_bytes() == before


def test_another_run_in_the_folder_is_never_lost(tmp_path: Path) -> None:
    finish(tmp_path, *EVERY_STEP, faults={"step": 4})
    kept = [path.read_bytes() for path in checkpoints(tmp_path)]
    code, output = finish(tmp_path, "seed=1")
    assert code != 0
    assert "holds a checkpoint that this run cannot use (it belongs to run" in output
    assert [path.read_bytes() for path in checkpoints(tmp_path)] == kept
    assert finish(tmp_path)[0] == 0
    record = (tmp_path / "record.json").read_bytes()
    code, output = finish(tmp_path, "seed=1")
    assert code != 0
    assert "holds another finished run, none of nano" in output
    assert (tmp_path / "record.json").read_bytes() == record
