"""`sweep.json`: which runs a sweep's folder is for, and which calls of `train.py -m` asked for them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from algoprog.runs.record import COMPARE, SEARCH, SWEEP_FILE
from algoprog.runs.status import now
from algoprog.runs.store import write_atomic

LOCK_FILE = ".sweep.lock"


@dataclass(frozen=True)
class Call:
    """One call of `train.py -m`."""

    command: str
    asked: tuple[str, ...]  # folders of its runs, those included that were finished before
    host: str
    pid: int
    started: str  # ISO 8601, UTC
    ended: str | None = None  # None while it starts runs, and for good if it was killed
    expected: int = 0  # runs that the command means in any case; those of a later phase have no names yet
    views: tuple[dict[str, Any], ...] = ()  # runs finished before that this call compares as another variant
    left_out: tuple[dict[str, Any], ...] = ()  # what it cannot train: each reason with the words that it is about

    @property
    def size(self) -> int:
        """How many runs the call is about, as far as is known."""
        return max(len(self.asked), self.expected)

    @property
    def is_own(self) -> bool:
        """Whether this process is the one."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())


@dataclass(frozen=True)
class Calls:
    """All calls that used one folder, in the order of their start."""

    calls: tuple[Call, ...]
    runs: Mapping[str, Sequence[str]]  # overrides of every run by the name of its folder

    @property
    def own(self) -> Call | None:
        """The last call of this process."""
        return next((call for call in reversed(self.calls) if call.is_own), None)

    def role(self, name: str) -> str:
        """What a run is for: search or compare."""
        return SEARCH if f"role={SEARCH}" in self.runs.get(name, ()) else COMPARE

    @property
    def commands(self) -> tuple[str, ...]:
        """The different command lines."""
        return tuple(dict.fromkeys(call.command for call in self.calls))


def begin_call(
    folder: Path,
    command: str,
    runs: Mapping[str, Sequence[str]],
    expected: int = 0,
    views: Sequence[dict[str, Any]] = (),
    left_out: Sequence[dict[str, Any]] = (),
) -> None:
    """Note that this process is going to train these runs.

    Args:
        folder: the sweep's folder.
        command: the command line of the whole sweep, as it may be written down.
        runs: overrides of every run by the name of its folder, as they may be written down.
        expected: how many there will be at least, where some have no names yet.
        views: how it sees finished runs whose records say otherwise.
        left_out: what it cannot train, each reason with the words that it is about.

    Raises:
        ValueError: the file that is there is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = Call(
        command,
        tuple(runs),
        socket.gethostname(),
        os.getpid(),
        now(),
        expected=expected,
        views=tuple(views),
        left_out=tuple(left_out),
    )
    with FileLock(folder / LOCK_FILE):
        before = read_calls(folder)
        _write(folder, Calls((*before.calls, own), {**before.runs, **runs}))


def extend_call(folder: Path, runs: Mapping[str, Sequence[str]], views: Sequence[dict[str, Any]] = ()) -> None:
    """Add runs to the call of this process: those of a phase that follows from the one before."""
    with FileLock(folder / LOCK_FILE):
        before = read_calls(folder)
        own = before.own
        assert own is not None
        longer = replace(own, asked=tuple(dict.fromkeys((*own.asked, *runs))), views=(*own.views, *views))
        calls = tuple(longer if call is own else call for call in before.calls)
        _write(folder, Calls(calls, {**before.runs, **runs}))


def end_call(folder: Path) -> None:
    """Note that this process starts no more runs; a disk that is full or gone is passed over: then its death tells."""
    with suppress(OSError), FileLock(folder / LOCK_FILE):
        before = read_calls(folder)
        ended = tuple(replace(call, ended=call.ended or now()) if call.is_own else call for call in before.calls)
        _write(folder, replace(before, calls=ended))


def read_calls(folder: Path) -> Calls:
    """The content of `sweep.json`; empty for a folder of records that no sweep wrote.

    Raises:
        ValueError: the file is damaged, naming the remedy.
    """
    path = folder / SWEEP_FILE
    if not path.exists():
        return Calls((), {})
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        calls = tuple(Call(**{**call, **_tuples(call)}) for call in raw["calls"])
        return Calls(calls, {str(name): [str(word) for word in words] for name, words in raw["runs"].items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error!r}): delete it, the runs beside it are not affected") from error


def _tuples(call: Mapping[str, Any]) -> dict[str, Any]:
    """The lists of a call as the tuples that they were; those of older calls lack some."""
    return {"asked": tuple(call["asked"]), **{name: tuple(call.get(name, ())) for name in ("views", "left_out")}}


def _write(folder: Path, content: Calls) -> None:
    write_atomic(folder / SWEEP_FILE, json.dumps(asdict(content), indent=2) + "\n")
