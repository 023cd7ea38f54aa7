"""Runs of a sweep that share a process: which they are, and what becomes of each."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.status import FAILED, read_status
from algoprog.sweep.engine.job import Job, Members, Work
from algoprog.sweep.engine.pool import Pool
from algoprog.sweep.engine.settings import typed
from algoprog.sweep.engine.together import Shape, grouped, told
from tests.configs import TINY_RUN
from tests.sweep.conftest import SHARE, Spoken, wait_until
from tests.training.grouped import alone
from tests.warm import TRAIN


def shape(name: str, tmp_path: Path, most: int = 32) -> Shape:
    return Shape(name, name, tmp_path, most)


def groups(work: list[Work]) -> list[Any]:
    return [tuple(job.name for job in one.jobs) if isinstance(one, Members) else one.name for one in work]


@pytest.mark.parametrize(
    ("together", "shares", "times", "most", "wanted"),
    [
        (8, 1, 2.0, 32, ["other", ("run0", "run1", "run2", "run3", "run4")]),
        (8, 2, 2.0, 32, ["other", ("run0", "run1"), ("run2", "run3", "run4")]),  # no share is left idle
        (2, 1, 2.0, 32, ["other", "run0", ("run1", "run2"), ("run3", "run4")]),
        (8, 1, 2.0, 3, ["other", ("run0", "run1"), ("run2", "run3", "run4")]),  # memory takes three
        ("auto", 1, 2.0, 32, ["other", ("run0", "run1", "run2", "run3", "run4")]),
        ("auto", 1, 1.05, 32, ["other", "run0", "run1", "run2", "run3", "run4"]),
    ],
)
def test_members_are_of_one_shape_and_no_more_than_asked(
    tmp_path: Path, together: str | int, shares: int, times: float, most: int, wanted: list[Any]
) -> None:
    todo = [Job((), tmp_path / name) for name in ("other", "run0", "run1", "run2", "run3", "run4")]
    shapes = {f"run{number}": shape("shape", tmp_path, most) for number in range(5)}
    work = grouped(todo, shapes, shares, together, lambda job, shape, size: times)
    assert sorted(map(str, groups(work))) == sorted(map(str, wanted))
    assert all(one.stacked for one in work if isinstance(one, Members))


def test_what_is_slower_together_goes_one_after_the_other(tmp_path: Path) -> None:
    todo = [Job((), tmp_path / name) for name in ("a", "b")]
    shapes = dict.fromkeys(("a", "b"), shape("shape", tmp_path))
    (members,) = grouped(todo, shapes, 1, 2, lambda job, shape, size: 0.6)
    assert isinstance(members, Members)
    assert not members.stacked
    assert told([members], {"a": "a is no member", "elsewhere": "nor is this"}) == [
        "  2 runs train as members, one after the other, in 1 process",
        "  a is no member",
    ]


@pytest.mark.parametrize("value", ["auto", "off", 1, 8])
def test_together_takes(value: str | int) -> None:
    assert typed("together", value) == value


@pytest.mark.parametrize("value", [0, -1, "on", True, 2.5])
def test_together_refuses(value: object) -> None:
    with pytest.raises(ValueError, match=r"hydra\.launcher\.together=.* must be auto, off, or a whole number"):
        typed("together", value)


def test_yaml_reads_off_as_false() -> None:
    assert typed("together", False) == "off"


@pytest.mark.parametrize("stacked", [True, False])
def test_each_member_has_an_end_and_a_log_of_its_own(tmp_path: Path, stacked: bool) -> None:
    words = {"a": "seed=0", "bad": "model.n_heads=3", "c": "seed=1"}
    jobs = tuple(Job((*TINY_RUN, word), tmp_path / name) for name, word in words.items())
    spoken = Spoken()
    pool = Pool([Members(jobs, stacked)], TRAIN, [SHARE], retries=1, timeout=None, fail_fast=False, screen=spoken)
    faults = {job.name: fault for job, fault in pool.run().items()}
    assert (faults["a"], faults["c"]) == (None, None)
    assert "d_model" in str(faults["bad"])
    status = read_status(tmp_path / "bad")
    assert status is not None
    assert (status.state, status.attempt) == (FAILED, 1)  # a mistake of the user is not repeated
    for name in words:
        log = (tmp_path / name / "run.log").read_text()
        assert log.startswith(f"=== attempt 1 of {name}, ")
        assert log.count("=== attempt") == 1
        assert ("together with 2 others" if stacked else "one after the other with 2 others") in log
        assert (name == "bad") == ("error: " in log)
    record = json.loads((tmp_path / "a" / "record.json").read_text())
    own = alone(tmp_path / "alone", ["seed=0"])
    assert record["final_val_loss"] == pytest.approx(own.final_val_loss, abs=5e-6 if stacked else 0)
    assert (record["seconds"] is None) == stacked
    assert record["beside"] == 2


@pytest.mark.slow
def test_after_the_death_of_their_process_each_goes_on_alone(tmp_path: Path) -> None:
    words = ("budget.steps=300", "trainer.checkpoint_seconds=null", "trainer.checkpoint_steps=5")
    jobs = tuple(Job((*TINY_RUN, *words, f"seed={seed}"), tmp_path / f"run{seed}") for seed in range(3))
    spoken = Spoken()
    pool = Pool([Members(jobs, stacked=True)], TRAIN, [SHARE], retries=1, timeout=None, fail_fast=False, screen=spoken)
    threading.Thread(target=_kill, args=(jobs[-1].folder,), daemon=True).start()
    assert set(pool.run().values()) == {None}
    assert len(spoken.lines) == len(jobs)
    for seed, job in enumerate(jobs):
        assert (job.folder / "run.log").read_text().count("=== attempt") == 2
        record = json.loads((job.folder / "record.json").read_text())
        assert record["environment"]["resumed"]
        assert (record["seconds"], record["environment"].get("members")) == (None, None)
        own = alone(tmp_path / "alone" / job.name, [*words, f"seed={seed}"])
        assert record["final_val_loss"] == pytest.approx(own.final_val_loss, abs=5e-6)


def _kill(folder: Path) -> None:
    """The process of a run, once it has written a checkpoint."""
    wait_until(lambda: any(folder.glob("checkpoints/*.ckpt")))
    status = read_status(folder)
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
