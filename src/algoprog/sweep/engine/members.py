"""The process of several runs: members of one shape that train together, or one after the other."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from algoprog.overrides import parse, subject, with_moved_axes
from algoprog.runs.failure import failed, open_private
from algoprog.runs.mistake import FAULT, MISTAKE, exit_code, sentence, visible
from algoprog.runs.record import LOG_FILE
from algoprog.runs.secrets import redact_logs
from algoprog.sweep.engine.job import SIGNALLED, Job, Members, Told, begin, headline, log_to

if TYPE_CHECKING:
    from algoprog.run.together import MemberRun

LOG_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
"""Hydra's, which a run alone has."""


def work_members(members: Members, environment: dict[str, str], attempts: Sequence[int], tell: Connection) -> None:
    """Be several runs; what each prints is appended to the `run.log` in its own folder.

    Args:
        members: the runs.
        environment: variables that give them their share of the machine.
        attempts: numbers of this start of each, for the logs.
        tell: takes how each ended that left no record.

    Raises:
        SystemExit: a signal ended them.
    """
    begin(environment)
    logs = _Logs(members.jobs)
    for number, (job, attempt) in enumerate(zip(members.jobs, attempts, strict=True)):
        logs.turn(number)
        how = "together with" if members.stacked else "one after the other with"
        print(headline(job, attempt, environment), f"{how} {len(members.jobs) - 1} others", sep=", ", flush=True)
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=LOG_FORMAT)
    faulthandler.enable()
    redact_logs()
    (_stacked if members.stacked else _in_turn)(members.jobs, logs, tell)


class _Logs:
    """The log of every member; whatever is printed goes to that of the one whose turn it is."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        log_to(jobs[0].folder / LOG_FILE)
        self.files = [open_private(job.folder / LOG_FILE) for job in jobs]

    def turn(self, number: int) -> None:
        """It is the turn of a member."""
        for stream, printer in ((1, sys.stdout), (2, sys.stderr)):
            with suppress(OSError):  # a full disk
                printer.flush()
            os.dup2(self.files[number], stream)


def _stacked(jobs: Sequence[Job], logs: _Logs, tell: Connection) -> None:
    """Train all that can be trained at the same time; the process ends once all have."""
    from algoprog.run.together import train_stacked

    checked = {number: member for number, job in enumerate(jobs) if (member := _checked(number, job, logs, tell))}
    numbers = list(checked)
    ended = train_stacked(list(checked.values()), lambda place: logs.turn(numbers[place]))
    for number, outcome in zip(numbers, ended, strict=True):
        logs.turn(number)
        if isinstance(outcome, BaseException):
            _tell(jobs[number], outcome, tell)


def _in_turn(jobs: Sequence[Job], logs: _Logs, tell: Connection) -> None:
    """Train one after the other, to the end or to a signal."""
    from algoprog.run.fit import run

    for number, job in enumerate(jobs):
        if member := _checked(number, job, logs, tell):
            try:
                run(member.spec, member.folder, member.overrides)
            except BaseException as error:
                _tell(job, error, tell)
                if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > SIGNALLED:
                    raise  # the signal is meant for all


def _checked(number: int, job: Job, logs: _Logs, tell: Connection) -> MemberRun | None:
    """The run of a job, as `python train.py` would begin it; None where that refuses it."""
    logs.turn(number)
    try:
        return composed(job)
    except (OSError, ValueError) as error:
        _refused(job, error, tell, exit_code(error))
    except Exception as error:
        _tell(job, error, tell)
    return None


def composed(job: Job) -> MemberRun:
    """The run of a job.

    Raises:
        ValueError: it cannot be trained.
    """
    from algoprog import build
    from algoprog.compose import compose
    from algoprog.run.app import prepare
    from algoprog.run.together import MemberRun

    words = list(job.overrides)
    task = [text for text, word in zip(words, parse(words), strict=True) if subject(word) != "hydra"]
    return MemberRun(prepare(build.resolve(compose(with_moved_axes(task)))), job.folder, task)


def _tell(job: Job, error: BaseException, tell: Connection) -> None:
    """Say how a member ended that left no record, as a run alone does; the traceback goes to its log."""
    from algoprog.run.micro_batch import NoRoomError
    from algoprog.training.state.lock import FolderTakenError

    if isinstance(error, FolderTakenError | NoRoomError):
        _refused(job, error, tell, MISTAKE)
    elif isinstance(error, Exception):
        tell.send({job.name: Told(FAULT, failed(error, job.folder).told)})
    else:
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else FAULT
        tell.send({job.name: Told(code, "")})


def _refused(job: Job, error: OSError | ValueError, tell: Connection, code: int) -> None:
    print(f"error: {visible(sentence(error))}", file=sys.stderr, flush=True)
    tell.send({job.name: Told(code, "")})
