"""A run that an exception ended: what is told to everybody, and the traceback, which its owner alone can read."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from algoprog.runs.mistake import FAULT, OF_THE_DISK, fault, sentence
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
    told = fault(error)
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        print(f"error: {sentence(error)}", file=sys.stderr)
    else:
        print(f"error: {told}{with_traceback(error, folder / LOG_FILE)}", file=sys.stderr)
    return RunFailedExit(told)


def unexpected(error: Exception) -> str:
    """What is told of an exception that ended a command without a folder of its own, and where its traceback is."""
    return fault(error) + with_traceback(error, Path(tempfile.gettempdir(), f"algoprog-{os.getuid()}.log"))


def with_traceback(error: BaseException, log: Path) -> str:
    """Where the traceback was put, as the end of a sentence; empty where no disk takes it."""
    try:
        append_private(log, "".join(traceback.format_exception(error)))
    except OSError:
        return ""
    return f": the traceback is in {log}"


def keep_logs_private() -> None:
    """Let nobody else read the files that `logging` writes to."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            with suppress(OSError):
                Path(handler.baseFilename).chmod(OWNER_ALONE)


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
