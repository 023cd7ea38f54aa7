"""The heartbeat of one run: `status.json` in its folder, for whoever watches from outside.

It is a view for people. Nothing is computed from it, and `record.json` alone says that a run is done.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.runs.mistake import fault

if TYPE_CHECKING:
    from pydantic import TypeAdapter

STATUS_FILE = "status.json"

WAITING, RUNNING, FAILED, STOPPED = "waiting", "running", "failed", "stopped"
"""To be started (again), training, ended by a fault, ended on purpose (Ctrl-C, SIGTERM)."""


@dataclass(frozen=True)
class Status:
    """How far a run was when its process last wrote."""

    state: str
    step: int
    total_steps: int
    train_loss: float | None  # nats per token, mean since the last evaluation
    val_loss: float | None  # nats per token at the last evaluation
    steps_per_second: float | None  # of this attempt, evaluations included
    device: str
    host: str
    pid: int
    attempt: int  # starts of this run so far, over all sweeps that started it
    started: str  # of this attempt: ISO 8601, UTC, by the clock of `host`
    updated: str
    reason: str | None  # why it failed or was stopped


def new_status(*, state: str, attempt: int, total_steps: int = 0) -> Status:
    """The status of this process before its first step."""
    return Status(
        state=state,
        step=0,
        total_steps=total_steps,
        train_loss=None,
        val_loss=None,
        steps_per_second=None,
        device="",
        host=socket.gethostname(),
        pid=os.getpid(),
        attempt=attempt,
        started=now(),
        updated=now(),
        reason=None,
    )


def now() -> str:
    """The time as a status holds it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_status(folder: Path, status: Status) -> None:
    """Rename `status.json` into place; a disk that is full or gone is passed over, since training matters more."""
    content = {key: value if _finite(value) else None for key, value in asdict(status).items()}
    temporary = folder / f".{STATUS_FILE}.{os.getpid()}"
    try:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        temporary.replace(folder / STATUS_FILE)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_status(folder: Path) -> Status | None:
    """What the run last wrote; None where nothing readable is."""
    try:
        return _adapter().validate_json((folder / STATUS_FILE).read_bytes(), strict=True)
    except (OSError, ValueError):
        return None


@cache
def _adapter() -> TypeAdapter[Status]:
    from pydantic import TypeAdapter

    return TypeAdapter(Status)


def next_attempt(folder: Path) -> int:
    """The number of the start that comes next."""
    status = read_status(folder)
    return status.attempt + 1 if status else 1


def mark(folder: Path, state: str, *, attempt: int, reason: str | None) -> None:
    """Note from outside how a run's process ended, with the progress that it had reported."""
    known = read_status(folder) or new_status(state=state, attempt=attempt)
    write_status(folder, replace(known, state=state, attempt=attempt, reason=reason, updated=now()))


def one_line(exception: BaseException) -> str:
    """What a status may say of an exception."""
    return fault(exception)[:300]


def _finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
