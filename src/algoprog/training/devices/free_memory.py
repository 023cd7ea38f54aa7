"""How much memory of this machine a program may still take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "ALGOPROG_MEMORY"
"""Bytes that a run may take; the launcher gives each run its part of the machine by it."""

RESERVE = 0.1
"""Share of the free memory that is left to everything else."""

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> float | None:
    """Bytes that this process and those that it starts may take; None where the machine does not tell.

    Raises:
        ValueError: the variable that says so is no number.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _bytes(given)
    found = [*_available(), *_left_in_groups()]
    return (1 - RESERVE) * min(found) if found else None


def _bytes(text: str) -> float:
    with suppress(ValueError):
        if float(text) > 0:
            return float(text)
    raise ValueError(f"{VARIABLE}={text} must be a number of bytes above 0, for example 16e9")


def _available() -> Iterator[float]:
    """What the machine could give without swapping."""
    with suppress(OSError, IndexError, ValueError):
        lines = (PROC / "meminfo").read_text(encoding="utf-8").splitlines()
        yield from (1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def _left_in_groups() -> Iterator[float]:
    """What the control groups of this process leave: a container, a job of Slurm or a service often has one."""
    with suppress(OSError):
        for line in (PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            second = not controllers
            if second or "memory" in controllers.split(","):
                root = CGROUPS if second else CGROUPS / "memory"
                own = root / path.lstrip("/")
                for group in (own, *own.parents):  # a limit of any group above holds as well
                    yield from _left(group, second=second)
                    if group == root:
                        break


def _left(group: Path, *, second: bool) -> Iterator[float]:
    """Limit less use of one group; files that the kernel has only cached are given back when they are in the way."""
    limit, used, cached = (
        ("memory.max", "memory.current", "inactive_file")
        if second
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    with suppress(OSError, ValueError):  # no such file, or "max": no limit
        most = int((group / limit).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield float(max(0, most - int((group / used).read_text()) + int(stat.get(cached, 0))))
