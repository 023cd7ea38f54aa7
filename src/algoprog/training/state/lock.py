"""One program at a time writes the folder of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = ".lock"
ASK_AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)


class FolderTakenError(ValueError):
    """A folder holds another run, whose results must not be lost; the message says what to do."""


@contextmanager
def alone(folder: Path, same_run: Callable[[], bool]) -> Iterator[None]:
    """Hold the folder of a run; wait for a program that is training the same run, which may finish it.

    The operating system frees the lock of a program that died. Only the first process of a run asks for it.

    Args:
        folder: the run's folder.
        same_run: whether the folder's configuration is that of this run.

    Raises:
        FolderTakenError: another program is writing another run there.
    """
    lock, waiting = FileLock(folder / LOCK_FILE), False
    while not lock.is_locked:
        try:
            lock.acquire(timeout=ASK_AGAIN_SECONDS, poll_interval=0.1)
        except Timeout:
            if not same_run():
                raise FolderTakenError(
                    f"another program is writing another run to {folder}: wait for it or choose another folder"
                ) from None
            if not waiting:
                log.warning("waiting for the program that is training this run in %s", folder)
            waiting = True
    try:
        yield
    finally:
        lock.release()
