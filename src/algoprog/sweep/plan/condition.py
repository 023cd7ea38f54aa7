"""What a run's folder holds before the run is started (again)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from algoprog.runs.record import CONFIG_FILE, DIVERGED, RECORD_FILE
from algoprog.runs.status import FAILED, read_status
from algoprog.runs.store import load_run

CHECKPOINTS = "checkpoints"
"""Folder of a run's checkpoints."""


class Condition(StrEnum):
    """What repeating a sweep does with a run."""

    DONE = "done"  # a record: left as it is
    DIVERGED = "diverged"  # a record as well: divergence is a result
    DAMAGED = "damaged"  # a record or a curve that cannot be read: from the start
    RESUMABLE = "resumable"  # a checkpoint: goes on from it
    FAILED = "failed"  # a fault and no checkpoint: from the start
    INTERRUPTED = "interrupted"  # begun, without a checkpoint: from the start
    NEW = "new"


def condition(folder: Path) -> Condition:
    """The condition of one run's folder."""
    if (folder / RECORD_FILE).exists():
        try:
            return Condition.DIVERGED if load_run(folder).record.status == DIVERGED else Condition.DONE
        except ValueError:
            return Condition.DAMAGED
    checkpoints = folder / CHECKPOINTS
    if any(checkpoints.glob("*.ckpt")):  # one that was being written when the run was killed ends in .tmp
        return Condition.RESUMABLE
    status = read_status(folder)
    if status and status.state == FAILED:
        return Condition.FAILED
    return Condition.INTERRUPTED if (folder / CONFIG_FILE).exists() else Condition.NEW


def announce(todo: Mapping[str, Path]) -> str:
    """What starting these runs means for those that were begun before, a line each; empty where all are new.

    Args:
        todo: folders of the runs to train, by name.
    """
    words = {
        Condition.RESUMABLE: "goes on from its checkpoint",
        Condition.FAILED: "failed before, is tried again",
        Condition.INTERRUPTED: "was interrupted before its first checkpoint, begins again",
        Condition.DAMAGED: "was finished, but is damaged and will be trained again",
    }
    found = {name: condition(folder) for name, folder in todo.items()}
    return "".join(f"  {name} {words[what]}\n" for name, what in found.items() if what in words)
