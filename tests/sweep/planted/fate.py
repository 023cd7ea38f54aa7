"""Ways for a process to go wrong, by name."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path


def meet(kind: str) -> None:
    """Go wrong in the way that `kind` names; `none` does nothing."""
    if kind == "late":
        while not list(Path("..").glob("slow/began-1")):
            time.sleep(0.02)
        kind = "exception"
    if kind == "exception":
        raise RuntimeError("planted fault\nof two lines")
    if kind == "secret":
        os.environ["PLANTED_TOKEN"] = "planted-0f5d7c"
        print("logged in with planted-0f5d7c")
        raise RuntimeError("no access with planted-0f5d7c")
    if kind.startswith("exit"):
        sys.exit(int(kind.removeprefix("exit")))
    if kind == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "memory":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**30, hard))
        bytearray(2**34)
    if kind == "disk":  # nothing beside it may grow beyond what the curve holds now
        folder = Path(sys.argv[-1].partition("=")[2].strip("'\""))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "curve.csv").stat().st_size, hard))
    if kind == "sleep":
        time.sleep(600)
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if kind == "orphan":
        child = subprocess.Popen(["sleep", "600"])
        Path("orphan.pid").write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
