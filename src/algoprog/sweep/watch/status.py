"""How far every run of a sweep is, from the files of its folder alone: any terminal, any machine that sees it."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from algoprog.runs.calls import Call, read_calls
from algoprog.runs.liveness import is_alive, started_at
from algoprog.runs.record import COMPARE, CONFIG_FILE, DIVERGED, RECORD_FILE, SEARCH, SWEEP_FILE, Record
from algoprog.runs.status import FAILED, RUNNING, STATUS_FILE, STOPPED, Status, read_status

STATES = ("done", "diverged", "running", "queued", "stopped", "failed", "lost", "damaged")

SILENT_SECONDS = 300.0
"""Silence after which a run on another machine is given up; its clock may differ from ours by as much."""

SILENT_STEPS = 20
"""Steps of silence after which a run on another machine is given up, where its steps take minutes."""

CLOCK_SLACK = 5.0
"""Seconds by which the time of a process and that of a file may differ on one machine."""


@dataclass(frozen=True)
class ShownRun:
    """One run as it is shown."""

    name: str
    state: str
    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None  # nats per token: the last validation loss, else the training loss
    steps_per_second: float | None = None
    seconds_left: float | None = None
    device: str = ""
    host: str = ""
    attempt: int | None = None
    reason: str | None = None
    role: str = COMPARE


class SweepView:
    """Reads a sweep's folder again and again; what is finished is read once.

    Args:
        folder: the sweep's folder.

    Raises:
        ValueError: the folder is none of a sweep.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / SWEEP_FILE).exists() and not any(folder.glob(f"*/{CONFIG_FILE}")):
            raise ValueError(
                f"{folder} is no sweep's folder (no {SWEEP_FILE}): give one such as multirun/2026-01-31/12-00-00"
            )
        self.folder = folder
        self._finished: dict[str, ShownRun] = {}

    def rows(self) -> list[ShownRun]:
        """Every run in the order of the sweep."""
        calls = read_calls(self.folder)
        names = list(calls.runs) or sorted(path.parent.name for path in self.folder.glob(f"*/{CONFIG_FILE}"))
        awaited = _awaited(self.folder)
        return [replace(self._row(name, name in awaited), role=calls.role(name)) for name in names]

    def to_come(self) -> int:
        """Runs that a program at work means to start and that have no names yet: those of a later phase, at least."""
        going = [call for call in read_calls(self.folder).calls if _goes_on(call)]
        return max((call.size - len(call.asked) for call in going), default=0)

    def _row(self, name: str, awaited: bool) -> ShownRun:
        if name in self._finished:
            return self._finished[name]
        folder = self.folder / name
        row = _finished(folder)
        if row and row.state != "damaged":
            self._finished[name] = row
        return row or _unfinished(folder, awaited)


def _awaited(sweep_dir: Path) -> set[str]:
    """Names of the runs that a program is going to start, those that it started included."""
    return {name for call in read_calls(sweep_dir).calls if _goes_on(call) for name in call.asked}


def _goes_on(call: Call) -> bool:
    """Whether the program may start runs; of one on another machine only its end can be known."""
    if call.ended or call.host != socket.gethostname():
        return not call.ended
    return _lives(call.pid, datetime.fromisoformat(call.started).timestamp())


def run_state(folder: Path) -> str:
    """The state of one run."""
    return (_finished(folder) or _unfinished(folder, folder.name in _awaited(folder.parent))).state


def _finished(folder: Path) -> ShownRun | None:
    try:
        record = Record.from_json(json.loads((folder / RECORD_FILE).read_text(encoding="utf-8")))
    except OSError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        return ShownRun(
            folder.name, "damaged", reason=f"{RECORD_FILE} cannot be read ({error}): the sweep repeats the run"
        )
    status = read_status(folder)
    return ShownRun(
        name=folder.name,
        state="diverged" if record.status == DIVERGED else "done",
        step=record.steps,
        total_steps=status.total_steps if status else record.steps,
        loss=record.final_val_loss,
        device=status.device if status else "",
        host=status.host if status else "",
        attempt=status.attempt if status else None,
        reason=record.reason,
    )


def _unfinished(folder: Path, awaited: bool) -> ShownRun:
    status = read_status(folder)
    if status is None:
        return ShownRun(folder.name, "queued" if awaited else "stopped")
    state = _state(status, folder / STATUS_FILE, awaited)
    left = None
    if state == "running" and status.steps_per_second:
        left = (status.total_steps - status.step) / status.steps_per_second
    return ShownRun(
        name=folder.name,
        state=state,
        step=status.step,
        total_steps=status.total_steps or None,
        loss=status.train_loss if status.val_loss is None else status.val_loss,
        steps_per_second=status.steps_per_second if state == "running" else None,
        seconds_left=left,
        device=status.device,
        host=status.host,
        attempt=status.attempt,
        reason=status.reason,
    )


def _state(status: Status, path: Path, awaited: bool) -> str:
    """The word for an unfinished run; a process id counts on its own machine alone."""
    if status.state in (FAILED, STOPPED):
        return status.state
    if status.state != RUNNING:
        return "queued" if awaited else "stopped"
    try:
        written = path.stat().st_mtime
    except OSError:
        return "running"  # renamed this moment
    if status.host == socket.gethostname():
        return "running" if _lives(status.pid, written) else "lost"
    step = SILENT_STEPS / status.steps_per_second if status.steps_per_second else 0.0
    return "running" if time.time() - written < max(SILENT_SECONDS, step) else "lost"


def _lives(pid: int, seen: float) -> bool:
    """Whether a process of this machine that was there at the time `seen` still is; its number may be another's now."""
    began = started_at(pid)
    return is_alive(pid) and not (began is not None and began > seen + CLOCK_SLACK)


def summary(rows: Sequence[ShownRun], to_come: int = 0) -> str:
    """How many runs are in which state, a line for each phase."""
    search, compare = ([row for row in rows if row.role == role] for role in (SEARCH, COMPARE))
    if not search and not to_come:
        return _counted("runs", rows)
    more = f", {to_come} or more to come" if to_come else ""
    return f"{_counted('trials of the search', search)}\n{_counted('compared runs', compare)}{more}"


def _counted(noun: str, rows: Sequence[ShownRun]) -> str:
    counts = Counter(row.state for row in rows)
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return f"{len(rows)} {noun}: {states}" if states else f"{len(rows)} {noun}"


def table(rows: Sequence[ShownRun], *, to_come: int = 0, shown: Sequence[str] = STATES, most: int | None = None) -> str:
    """The rows within 80 columns, all of them counted, and below them why a run failed.

    Args:
        rows: of the whole sweep.
        to_come: runs without names yet.
        shown: states whose runs have a line.
        most: lines at most; None shows all.
    """
    chosen = [row for row in rows if row.state in shown][:most]
    head = f"{'run':<28} {'state':<8} {'step':>13} {'loss':>6} {'steps/s':>7} {'left':>5} dev"
    lines = [head, "-" * 80, *(_line(row)[:80].rstrip() for row in chosen), "-" * 80, summary(rows, to_come)]
    told = [row for row in chosen if row.state in ("failed", "lost", "damaged") and row.reason]
    faults = [f"{row.name}: {row.reason}" for row in told]
    return "\n".join([*lines, *(shortened(fault, 80) for fault in faults)])


def _line(row: ShownRun) -> str:
    step = f"{row.step}/{row.total_steps}" if row.total_steps else ""
    loss = "" if row.loss is None else f"{row.loss:.3f}"
    speed = "" if row.steps_per_second is None else f"{row.steps_per_second:.3g}"
    left = "" if row.seconds_left is None else duration(row.seconds_left)
    name, device = shortened(row.name, 28), shortened(row.device, 7)
    return f"{name:<28} {row.state:<8} {step:>13} {loss:>6} {speed:>7} {left:>5} {device}"


def shortened(text: str, width: int) -> str:
    """The text with its middle left out where it is too long: both ends of a run's name tell it from others."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    if len(plain) <= width:
        return plain
    tail = width // 3
    return f"{plain[: width - tail - 1]}~{plain[-tail:]}"


def duration(seconds: float) -> str:
    """Seconds as 45s, 12m, 3.5h or 2.1d."""
    for unit, length, digits in (("d", 86400, 1), ("h", 3600, 1), ("m", 60, 0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{digits}f}{unit}"
    return f"{seconds:.0f}s"
