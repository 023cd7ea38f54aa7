"""Which runs of a sweep share a process, as members that train together where that is measured to pay."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from algoprog.runs.store import write_atomic
from algoprog.sweep.engine.devices import DeviceShare
from algoprog.sweep.engine.job import Job, Members, Work, begin, jobs_of
from algoprog.sweep.engine.members import composed

FILE = "members.json"

PAYS = 1.1
"""Times as many tokens a second: with `together=auto` runs share a process from here on."""

MOST = 32
"""Members of a process with `together=auto`."""

PATIENCE = 120.0
"""Seconds that a measurement may take; what takes longer is no business of members."""


@dataclass(frozen=True)
class Shape:
    """What runs that may be members of one group have in common."""

    text: str  # equal for them alone
    speed: str  # equal for all that are as fast
    cache: Path  # folder where measured gains are kept
    most: int  # members that memory takes


Gain = Callable[[Job, Shape, int], float]
"""How many times as fast so many members train together as one after the other."""


def grouped(
    todo: Sequence[Job], shapes: Mapping[str, Shape], shares: int, together: str | int, gain: Gain
) -> list[Work]:
    """The jobs, those of one shape as members where that is asked for, or pays.

    Args:
        todo: all jobs.
        shapes: by the names of the jobs that can be members.
        shares: of the machine; none is left idle for the sake of larger groups.
        together: members of a group at most, or `auto`.
        gain: measures.
    """
    alike: dict[Shape | Job, list[Job]] = {}
    for job in todo:
        alike.setdefault(shapes.get(job.name, job), []).append(job)
    work: list[Work] = []
    for shape, jobs in alike.items():
        size = _size(len(jobs), len(todo), shares, together, shape)
        if isinstance(shape, Job) or size < 2:
            work += jobs
            continue
        times = gain(jobs[0], shape, size)
        if isinstance(together, str) and times < PAYS:
            work += jobs
            continue
        parts = _parts(sorted(jobs, key=_name), size)
        work += [part[0] if len(part) == 1 else Members(tuple(part), stacked=times >= 1) for part in parts]
    return work


def told(work: Sequence[Work], alone: Mapping[str, str]) -> list[str]:
    """What is said of the members among the work, and of those that cannot be: sentences by the names of the runs."""
    groups = [one for one in work if isinstance(one, Members)]
    if not groups:
        return []
    runs, how = sum(len(one.jobs) for one in groups), "together" if groups[0].stacked else "one after the other"
    many = f"{len(groups)} processes" if len(groups) > 1 else "1 process"
    unknown = ": their seconds are not known" if groups[0].stacked else ""
    here = {job.name for one in work for job in jobs_of(one)}
    lines = dict.fromkeys(f"  {sentence}" for name, sentence in alone.items() if name in here)
    return [f"  {runs} runs train as members, {how}, in {many}{unknown}", *lines]


def _size(jobs: int, todo: int, shares: int, together: str | int, shape: Shape | Job) -> int:
    asked = MOST if isinstance(together, str) else together
    return 1 if isinstance(shape, Job) else min(asked, jobs, shape.most, -(-todo // shares))


def _name(job: Job) -> str:
    """Folders are locked in one order by all programs, so that no two wait for each other."""
    return job.name


def _parts(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """As few parts as there can be, of nearly equal sizes."""
    count = -(-len(jobs) // size)
    bounds = [len(jobs) * number // count for number in range(count + 1)]
    return [jobs[start:end] for start, end in pairwise(bounds)]


def measured(job: Job, shape: Shape, size: int, share: DeviceShare) -> float:
    """The gain of so many members here, from a process of its own or from what was measured before.

    A measurement that fails, or takes too long on a busy machine, is 0 and not remembered.
    """
    key, path = _key(shape, size, share), shape.cache / FILE
    known = _read(path)
    if key in known:
        return known[key]
    times = _asked(job, size, share)
    if times:
        with suppress(OSError):  # it is measured again then
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps({**_read(path), key: times}, indent=1))
    return times


def _key(shape: Shape, size: int, share: DeviceShare) -> str:
    import torch

    where = [platform.node(), share.get("CUDA_VISIBLE_DEVICES", ""), share["OMP_NUM_THREADS"], torch.__version__]
    return hashlib.sha256(json.dumps([*where, shape.speed, size]).encode()).hexdigest()[:16]


def _asked(job: Job, size: int, share: DeviceShare) -> float:
    context = multiprocessing.get_context("forkserver")
    answer, tell = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(job, size, share, tell), daemon=True)
    process.start()
    tell.close()
    with suppress(EOFError):  # no room for them, say
        if answer.poll(PATIENCE):
            return float(answer.recv())
    process.kill()
    return 0.0


def _measure(job: Job, size: int, share: DeviceShare, tell: Connection) -> None:
    begin(share)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import torch

    from algoprog.run.memory import on_cpu
    from algoprog.run.stacking import gain
    from algoprog.training.devices.hardware import gpus_here

    spec = composed(job).spec
    tell.send(gain(spec, size, torch.device("cpu" if on_cpu(spec.config, gpus_here()) else "cuda")))


def _read(path: Path) -> dict[str, float]:
    """What was measured before; a file that cannot be read is written anew."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {str(key): float(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    return {}
