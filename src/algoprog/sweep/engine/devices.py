"""Which part of the machine a run is given."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

DeviceShare = dict[str, str]
"""Environment variables that show a run its part of the machine and no more."""

MOST_CPU_RUNS = 8
"""More runs at the same time than this are rarely faster, and each takes memory."""

MPS_DAEMON, MPS_FOLDER = "nvidia-cuda-mps-control", "/tmp/nvidia-mps"
"""NVIDIA's Multi-Process Service, and where it listens unless `CUDA_MPS_PIPE_DIRECTORY` says otherwise."""

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def visible_gpus(wanted: str | Sequence[int | str]) -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES gives the wanted GPUs to a run.

    Args:
        wanted: `auto` for all that this process may use, or a list of indices among those and of UUIDs.

    Raises:
        ValueError: a GPU is named twice or is not there.
    """
    there = _all_visible()
    if isinstance(wanted, str):
        return there
    names = [_name(gpu, there) for gpu in wanted]
    if len(set(names)) < len(names):
        raise ValueError(f"hydra.launcher.gpus={list(wanted)} names a GPU twice: name each once")
    return names


def gpu_shares(gpus: Sequence[str], gpus_per_run: int, runs_per_gpu: int, threads: int | str) -> list[DeviceShare]:
    """One share for each run that fits on the GPUs at the same time.

    Raises:
        ValueError: a run needs more GPUs than there are.
    """
    if gpus_per_run > len(gpus):
        raise ValueError(f"hydra.launcher.gpus_per_run={gpus_per_run} but there are {len(gpus)} GPU(s): ask for fewer")
    groups = [gpus[at : at + gpus_per_run] for at in range(0, len(gpus) - gpus_per_run + 1, gpus_per_run)]
    # GPU by GPU and not run by run, so that few runs are spread over all GPUs.
    visible = [",".join(group) for _ in range(runs_per_gpu) for group in groups]
    each = _threads(threads, len(visible))
    return [{**_thread_variables(each), "CUDA_VISIBLE_DEVICES": names} for names in visible]


def how_a_gpu_is_shared(environment: Mapping[str, str]) -> str:
    """A sentence for several runs a GPU: with NVIDIA's MPS they compute at the same time, without it they take turns.

    A pipe that its daemon left behind when it was killed has no reader, and counts as none.

    Args:
        environment: of this process, which the runs inherit.
    """
    folder, turns = environment.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_FOLDER, "runs that share a GPU take turns"
    if _is_read(Path(folder) / "control"):
        return f"runs that share a GPU compute at the same time: NVIDIA MPS listens in {folder}"
    if shutil.which(MPS_DAEMON, path=environment.get("PATH")) is None:
        return f"{turns}: {MPS_DAEMON}, which would let them compute at the same time, is not here"
    return f"{turns}: `{MPS_DAEMON} -d` before the sweep lets them compute at the same time"


def _is_read(pipe: Path) -> bool:
    """Whether a program waits at the other end."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def cpu_shares(runs: int | str, threads: int | str, most: int) -> list[DeviceShare]:
    """One share for each run at the same time; together they have the cores, each once."""
    at_once = min(most, MOST_CPU_RUNS, cores()) if runs == "auto" else min(most, int(runs))
    at_once = max(1, at_once)
    share = {**_thread_variables(_threads(threads, at_once)), "CUDA_VISIBLE_DEVICES": ""}
    return [share] * at_once


def cores() -> int:
    """Cores that this process may use: a container's quota counts, and not only the machine's cores."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="utf-8").split()
        return min(allowed, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups, or "max": no quota
        return allowed


def _all_visible() -> list[str]:
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in named.split(",")][:count]


def _name(gpu: int | str, there: Sequence[str]) -> str:
    """The name of one wanted GPU."""
    index = int(gpu) if str(gpu).isdigit() else None
    if index is not None and index < len(there):
        return there[index]
    by_uuid = index is None and str(gpu).startswith(("GPU-", "MIG-"))
    unnamed = all(name.isdigit() for name in there)  # then nothing here says which UUIDs there are
    if by_uuid and there and (unnamed or gpu in there):
        return str(gpu)
    raise ValueError(
        f"hydra.launcher.gpus names {gpu}, which is not among the GPUs here ({', '.join(there) or 'none'})"
    )


def _threads(wanted: int | str, runs: int) -> int:
    return max(1, cores() // runs) if wanted == "auto" else int(wanted)


def _thread_variables(threads: int) -> DeviceShare:
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
