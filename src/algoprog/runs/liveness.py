"""Whether a process of this machine runs, and since when."""

from __future__ import annotations

import os
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Does a process run? One that ended and was not collected yet does not."""
    try:
        return _stat(pid)[0] not in "ZX"
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _answers(pid)
    except OSError:
        return False


def started_at(pid: int) -> float | None:
    """When a process of this machine began, in seconds since 1970; None where that cannot be told."""
    try:
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return float(boot.split()[1]) + int(_stat(pid)[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration):
        return None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
