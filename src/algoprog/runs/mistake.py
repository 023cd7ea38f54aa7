"""What may be said of what went wrong: our own sentence, or the type of an exception and where it was raised."""

from __future__ import annotations

import errno
import sysconfig
import traceback
from pathlib import Path

from algoprog.runs.secrets import redacted

_ELSEWHERE = "choose a folder that you may write to"
_SPACE = "free some space, then start again"
REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "allow larger files (`ulimit -f`), then start again",
    errno.EIO: "have the disk looked at, then start again",
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
}

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What no other word on the command line mends: the disk has to be seen to, and the same command goes on."""

FAULT, MISTAKE = 1, 2
"""Exit codes: something went wrong; something was asked for that cannot be."""


def sentence(error: OSError | ValueError) -> str:
    """What is wrong and what to change, without secrets; our own `ValueError`s say it themselves."""
    if isinstance(error, ValueError):
        return visible(redacted(str(error)))
    what = f"{_shown(error.filename)} cannot be used" if error.filename else "the disk cannot be used"
    why = error.strerror or str(error) or type(error).__name__
    return visible(redacted(f"{what} ({why}): {REMEDIES.get(error.errno or 0, 'choose another path')}"))


def visible(text: str) -> str:
    """A text as one line that any terminal shows as it is: what cannot be seen is written as in Python."""
    return "".join(letter if letter.isprintable() else _spelled(letter) for letter in text.strip())


def _spelled(letter: str) -> str:
    return " " if letter == "\n" else ascii(letter)[1:-1]


def exit_code(error: BaseException) -> int:
    """Whether the user asked for what cannot be, or something went wrong that the same command may not meet again."""
    mistake = isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno not in OF_THE_DISK)
    return MISTAKE if mistake else FAULT


def fault(error: BaseException) -> str:
    """What may be told of an exception that nobody expected: nothing of its text, which may hold anything.

    The text of our own exceptions is our own sentence, and the operating system's words name a file at most.
    """
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"{name}: {sentence(error)}"
    if type(error).__module__.startswith("algoprog."):
        return f"{name}: {_line(error)}" if str(error) else name
    place = _place(error)
    if isinstance(error, ValueError) and place and place[1].startswith("algoprog."):
        return f"{name}: {_line(error)}"
    return f"{name}: raised in {place[0]}" if place else name


def _line(error: BaseException) -> str:
    return visible(" ".join(redacted(str(error)).split()))


def _place(error: BaseException) -> tuple[str, str] | None:
    """File, line and function in which an exception was raised, and their module: the last outside of libraries."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [frame for frame in frames if not _is_library(frame[0].f_code.co_filename)]
    if not frames:
        return None
    frame, line = (own or frames)[-1]
    is_last = frame is frames[-1][0]
    module = str(frame.f_globals.get("__name__")) if is_last else ""
    return f"{Path(frame.f_code.co_filename).name}, line {line} ({frame.f_code.co_name})", module


def _is_library(path: str) -> bool:
    return "-packages" in path or path.startswith((sysconfig.get_paths()["stdlib"], "<frozen"))


def _shown(path: object) -> str:
    return str(path, "utf-8", "replace") if isinstance(path, bytes) else str(path)
