"""Whole programs in processes of their own, which are forked from one that has the imports loaded.

Each has its own variables, folder, words, output and exit code, and its own fork server for the runs of a sweep, as if
it had been typed; only the seconds in which Python imports the same modules each time are saved.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRAIN = str(ROOT / "train.py")
ALGOPROG = "algoprog"
PATIENCE = 1200.0
"""Seconds after which a test gives up waiting; so many that a busy machine is never taken for a fault."""

server = multiprocessing.get_context("forkserver")
PRELOAD = ["algoprog.sweep.engine.preload", "algoprog.sweep.search.phases", "algoprog.cli", "algoprog.report.write"]
server.set_forkserver_preload([*PRELOAD, __name__, "tests.training.resuming", "tests.preload"])


def program(script: str, *words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Args:
        script: TRAIN or ALGOPROG.
        words: behind it.
        cwd: its folder.
        variables: of its environment, besides our own.
    """
    command = [script, *words]
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("out", "err")]
        for stream in streams:
            stream.touch()
        process = server.Process(target=_be, args=(command, {**os.environ, **variables}, str(cwd), *map(str, streams)))
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(command, PATIENCE)
        return subprocess.CompletedProcess(command, process.exitcode, *(stream.read_text() for stream in streams))


def _be(command: Sequence[str], variables: Mapping[str, str], cwd: str, out: str, err: str) -> None:
    """Be the program; multiprocessing turns SystemExit into the exit code."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    for stream, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    _fork_server()
    sys.argv = list(command)
    sys.path[:0] = [str(ROOT), *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if command[0] == ALGOPROG:
            from algoprog.cli import main

            raise SystemExit(main())
        runpy.run_path(command[0], run_name="__main__")
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        atexit._run_exitfuncs()


def _fork_server() -> None:
    """The fork server that the program would start, forked from here where nothing has happened yet."""
    real = util.spawnv_passfds

    def spawn(path: bytes, args: Sequence[Any], passed: Sequence[int]) -> int:
        if "multiprocessing.forkserver" not in str(args[-1]):
            return real(path, args, passed)
        pid = os.fork()
        if pid:
            return pid
        try:
            for name in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
                if name > 2 and name not in passed:
                    with contextlib.suppress(OSError):  # the one that listed them
                        os.close(name)
            exec(args[-1], {})  # what `python -c` would be given
        finally:
            os._exit(0)

    util.spawnv_passfds = spawn
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = real


def heed_signals() -> None:
    """Undo what nohup, or a shell's `&`, makes its children ignore: the tests may run under either."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
