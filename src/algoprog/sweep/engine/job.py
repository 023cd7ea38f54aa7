"""One run as a process of its own, whatever engine starts it: `python train.py OVERRIDES hydra.run.dir=FOLDER`.

So every run can be repeated by hand, memory returns to zero between runs, and no death of one reaches another.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from algoprog.overrides import parse, quoted
from algoprog.runs.failure import RunFailedExit, open_private
from algoprog.runs.mistake import FAULT
from algoprog.runs.record import LOG_FILE
from algoprog.runs.secrets import RedactedText
from algoprog.runs.status import now, one_line
from algoprog.training.devices.allocator import keep_freed_memory

PRELOAD = ["algoprog.sweep.engine.preload"]
"""What a process that runs are forked from has imported."""

GRACE_SECONDS = 30.0
"""Time for a checkpoint between SIGTERM and SIGKILL; Slurm's default as well."""


SIGNALLED = 128
"""Exit codes above are those of a run that wrote a checkpoint because of a signal, as shells count."""


@dataclass(frozen=True)
class Job:
    """One run to start."""

    overrides: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        """Of the run inside its sweep."""
        return self.folder.name

    @property
    def words(self) -> list[str]:
        """What stands behind `python train.py`."""
        return [*self.overrides, f"hydra.run.dir={quoted(str(self.folder))}"]


@dataclass(frozen=True)
class Members:
    """Runs that share a process."""

    jobs: tuple[Job, ...]
    stacked: bool  # whether they train together in it, or one after the other

    @property
    def name(self) -> str:
        """For the process."""
        return f"{len(self.jobs)} members"


Work = Job | Members
"""What one process does."""


def jobs_of(work: Work) -> tuple[Job, ...]:
    """The runs of a process."""
    return work.jobs if isinstance(work, Members) else (work,)


def jobs(overrides: Sequence[Sequence[str]], sweep_dir: Path) -> list[Job]:
    """The runs that a sweeper hands to a launcher: each names its folder by `hydra.sweep.subdir`."""
    return [_job(list(words), sweep_dir) for words in overrides]


def _job(overrides: list[str], sweep_dir: Path) -> Job:
    key = "hydra.sweep.subdir="
    (word,) = [word for word in overrides if word.startswith(key)]
    (parsed,) = parse([word])
    return Job(tuple(other for other in overrides if other != word), sweep_dir / str(parsed.value()))


def work(job: Job, script: str, environment: dict[str, str], attempt: int, tell: Connection) -> None:
    """Be one run, in the process that calls this; what it prints is appended to `run.log` in its folder.

    Args:
        job: the run.
        script: path of train.py.
        environment: variables that give the run its share of the machine.
        attempt: number of this start, for the log.
        tell: takes the last line of an exception; it needs no disk, which may be full.

    Raises:
        SystemExit: the run failed; 1 for an exception, which the log then holds.
    """
    begin(environment)
    log_to(job.folder / LOG_FILE)
    print(headline(job, attempt, environment), flush=True)
    faulthandler.enable()
    sys.argv = [script, *job.words]
    try:
        runpy.run_path(script, run_name="__main__")
    except RunFailedExit as failed:
        tell.send({job.name: Told(FAULT, failed.told)})
        raise SystemExit(failed.code) from None
    except Exception as error:
        tell.send({job.name: Told(FAULT, one_line(error))})
        traceback.print_exc()  # last: a full disk takes no traceback
        raise SystemExit(1) from None


@dataclass(frozen=True)
class Told:
    """How a run ended, as its process says."""

    code: int  # exit code
    words: str


def begin(environment: dict[str, str]) -> None:
    """Make this process one of the engine's, with its share of the machine."""
    with contextlib.suppress(PermissionError):  # it leads a group already
        os.setsid()  # a group of its own, with the processes that it starts for further devices
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update({**environment, "HYDRA_FULL_ERROR": "1"})  # without it Hydra cuts the traceback
    if "torch" in sys.modules and "OMP_NUM_THREADS" in environment:  # imported by the fork server, with its variables
        sys.modules["torch"].set_num_threads(int(environment["OMP_NUM_THREADS"]))


def headline(job: Job, attempt: int, environment: dict[str, str]) -> str:
    """The line that begins an attempt in the log."""
    share = f"CUDA_VISIBLE_DEVICES={environment.get('CUDA_VISIBLE_DEVICES', '')}"
    return f"=== attempt {attempt} of {job.name}, {now()}, process {os.getpid()}, {share}"


def log_to(path: Path) -> None:
    """Everything that is printed from here on goes to the file, which its owner alone can read, without secrets."""
    log = open_private(path)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    sys.stdout, sys.stderr = _clean(1), _clean(2)


def _clean(stream: int) -> RedactedText:
    raw = io.BufferedWriter(io.FileIO(stream, "w", closefd=False))
    return RedactedText(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _end_with_parent() -> None:
    """Once the launcher is gone, however it went, end this run as the launcher would have."""
    parent = parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)
