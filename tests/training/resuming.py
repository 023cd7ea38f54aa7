"""Runs in processes of their own, which end as they are told to: killed, stopped by a signal, or without a disk.

The processes come from a server that has the imports loaded, so that each takes a fraction of a second.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from algoprog.training.state import checkpoint
from tests.configs import TINY_RUN, compose
from tests.warm import server

EVERY_STEP = ("trainer.checkpoint_seconds=null", "trainer.checkpoint_steps=1")
WALL_CLOCK = ("seconds", "tokens_per_second", "mfu", "peak_memory_bytes", "created")
LOG_FILE = "log.txt"
PATIENCE = 600.0
"""Seconds after which a test gives up waiting; so many that a busy machine is never taken for a fault."""
SMALL_DISK = 30_000
"""Bytes: less than a checkpoint of the tiny run, more than everything else that it writes."""

Process = Any


def start(
    folder: Path,
    *overrides: str,
    faults: Mapping[str, int] | None = None,
    variables: Mapping[str, str] | None = None,
    log: str = LOG_FILE,
) -> Process:
    """Begin a run.

    Args:
        folder: of the run.
        overrides: on top of the tiny run.
        faults: SIGKILL in the middle of the N-th `write` of a checkpoint, in the N-th `branch`, at the end of
            optimizer `step` N before anything of it is written, or after the N-th `row`; `full`: the disk is full from
            step N on; `unread`: the checkpoint after step N cannot be read; `clock`: by the clock of training a step
            takes one second, and the start and every write of a checkpoint take N.
        variables: of the environment.
        log: file in the folder for what it says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = server.Process(target=_be, args=(folder, overrides, dict(faults or {}), dict(variables or {}), log))
    process.start()
    return process


def finish(folder: Path, *overrides: str, faults: Mapping[str, int] | None = None) -> tuple[int, str]:
    """Exit code of a run, and what it said."""
    process = start(folder, *overrides, faults=faults)
    process.join(PATIENCE)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode, said(folder)


def said(folder: Path, log: str = LOG_FILE) -> str:
    """What the last run there has said so far."""
    return (folder / log).read_text() if (folder / log).exists() else ""


def result(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """What a run left, less what the clock says."""
    with (folder / "curve.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    record = json.loads((folder / "record.json").read_text())
    record["environment"] = {**record["environment"], "resumed": None}
    return rows, {key: value for key, value in record.items() if key not in WALL_CLOCK}


def resumed(folder: Path) -> list[int]:
    """Steps of the checkpoints that a finished run went on from."""
    environment = json.loads((folder / "record.json").read_text())["environment"]
    return [entry["step"] for entry in environment["resumed"]]


def checkpoints(folder: Path) -> list[Path]:
    """The files, oldest first."""
    return sorted((folder / "checkpoints").glob("*.ckpt"))


def rewrite(path: Path, **changes: object) -> None:
    """Change what a checkpoint says of its origin, with a checksum that fits."""
    content = checkpoint.read(path)
    content[checkpoint.STATE].update(changes)
    replace(path, content)


def replace(path: Path, content: dict[str, Any]) -> None:
    """Write another checkpoint in the place of one."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(hashlib.sha256(buffer.getvalue()).hexdigest().encode() + buffer.getvalue())


def wait_for(happened: Callable[[], Any], process: Process) -> None:
    """Until it has, and while the run lives."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if happened():
            return
        assert process.is_alive()
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def _be(folder: Path, overrides: tuple[str, ...], faults: dict[str, int], variables: dict[str, str], log: str) -> None:
    from algoprog.run import app, fit

    os.environ.update(variables)
    file = os.open(folder / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _arm(faults)
    words = [*TINY_RUN, *overrides]
    fit.run(app.prepare(compose(*words)), folder, words)


def _arm(faults: dict[str, int]) -> None:
    """Let them happen inside the real program."""
    from algoprog.training.callbacks.branches import Branches
    from algoprog.training.callbacks.curve import CurveWriter
    from algoprog.training.state.checkpoint import _Hashing

    for what, number in faults.items():
        if what == "write":
            started: list[object] = []
            _after(_Hashing, "write", lambda sink, *_, n=number, s=started: s.append(sink) or len(set(s)) < n or _die())
        elif what == "branch":
            left = iter(range(number - 1))
            _after(Branches, "_decay", lambda *_, left=left: next(left, None) is not None or _die())
        elif what == "row":
            rows = iter(range(number - 1))
            _after(CurveWriter, "write", lambda *_, rows=rows: next(rows, None) is not None or _die())
        elif what == "step":
            _before(CurveWriter, "on_train_batch_end", lambda trainer, n=number: trainer.global_step == n and _die())
        elif what == "full":
            _before(CurveWriter, "on_train_batch_end", lambda trainer, n=number: trainer.global_step == n and _fill())
        elif what == "unread":
            _unread(checkpoint.name(number))
        elif what == "clock":
            _be_slow(number)


def _after(owner: type, name: str, then: Callable[..., object]) -> None:
    real = getattr(owner, name)

    def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = real(self, *args, **kwargs)
        then(self, *args)
        return out

    setattr(owner, name, patched)


def _before(owner: type, name: str, first: Callable[[Any], object]) -> None:
    real = getattr(owner, name)

    def patched(self: Any, trainer: Any, *args: Any) -> Any:
        first(trainer)
        return real(self, trainer, *args)

    setattr(owner, name, patched)


def _unread(name: str) -> None:
    real = checkpoint.read

    def read(path: Path) -> dict[str, Any]:
        if path.name == name:
            raise OSError("Stale file handle")
        return real(path)

    checkpoint.read = read


def _be_slow(seconds: int) -> None:
    from algoprog.training import clock
    from algoprog.training.callbacks.curve import CurveWriter
    from algoprog.training.state.checkpoint import _Hashing

    class Time:
        now = float(seconds)

        def perf_counter(self) -> float:
            return self.now

        def pass_by(self, more: float) -> None:
            self.now += more

    clock.time = time = Time()  # type: ignore[assignment]
    _before(CurveWriter, "on_train_batch_end", lambda *_: time.pass_by(1))
    _after(_Hashing, "write", lambda *_: time.pass_by(seconds))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fill() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, resource.RLIM_INFINITY))
