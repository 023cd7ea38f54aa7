"""Several runs in one process: as members of a group that computes their passes together, or one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from algoprog.run.fit import run
from algoprog.run.spec import RunSpec
from algoprog.runs.record import Record
from algoprog.training.interrupt import StopRequest, heeding
from algoprog.training.members.module import Group, Seat


@dataclass(frozen=True)
class MemberRun:
    """One of the runs, checked."""

    spec: RunSpec
    folder: Path
    overrides: list[str]


def train_stacked(members: Sequence[MemberRun], turn: Callable[[int], None]) -> list[Record | BaseException]:
    """Train runs of one shape together; each ends for itself, by its record or by what ended it.

    Args:
        members: in an order that every program takes, so that no two wait for each other's folders.
        turn: called with the number of a member whenever it goes on, behind the work of another.
    """
    group, requests = Group(turn), [StopRequest() for _ in members]
    seats = [Seat(group, number, len(members), request) for number, request in enumerate(requests)]

    works = [partial(run, one.spec, one.folder, one.overrides, seat) for one, seat in zip(members, seats, strict=True)]
    with heeding(requests), warnings.catch_warnings():  # threads do not undo theirs in the order of their making
        return group.run(works)
