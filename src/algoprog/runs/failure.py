"""A run that an exception ended: what is told to everybody, and the traceback, which its owner alone can read."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from algoprog.runs.mistake import FAULT, fault
from algoprog.runs.record import LOG_FILE
from algoprog.runs.secrets import redacted

OWNER_ALONE = 0o600


class RunFailedExit(SystemExit):
    """Ends the process of a run; `told` is what may be said of why."""

    def __init__(self, told: str) -> None:
        super().__init__(FAULT)
        self.told = told


def failed(error: Exception, folder: Path) -> RunFailedExit:
    """Write the traceback to the log of the run and one line to the terminal."""
    told, log = fault(error), folder / LOG_FILE
    with suppress(OSError):  # the disk may be full
        append_private(log, "".join(traceback.format_exception(error)))
    print(f"error: {told}: the traceback is in {log}", file=sys.stderr)
    return RunFailedExit(told)


def append_private(path: Path, text: str) -> None:
    """Append text, less its secrets, to a file that its owner alone can read."""
    handle = open_private(path)
    with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(redacted(text))


def open_private(path: Path) -> int:
    """A file to append to that nobody else can read, also where it was made otherwise before."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ALONE)
    with suppress(OSError):  # another user's file
        os.fchmod(handle, OWNER_ALONE)
    return handle
