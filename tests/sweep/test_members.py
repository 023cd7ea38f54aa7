"""Runs of a sweep that share a process: which they are, and what becomes of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algoprog.runs.status import FAILED, read_status
from algoprog.sweep.engine.job import Job, Members, Work
from algoprog.sweep.engine.pool import Pool
from algoprog.sweep.engine.settings import typed
from algoprog.sweep.engine.together import Shape, grouped, told
from tests.configs import TINY_RUN
from tests.sweep.conftest import SCRIPT, SHARE, Spoken
from tests.training.grouped import alone


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
    assert "one after the other" in told([members], {})[0]


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
    pool = Pool([Members(jobs, stacked)], str(SCRIPT), [SHARE], retries=1, timeout=None, fail_fast=False, screen=spoken)
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
