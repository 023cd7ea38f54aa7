"""What the machine can do and what a run took from it."""

from __future__ import annotations

import platform
import resource
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch


def synchronize(device: torch.device) -> None:
    """Wait until everything launched so far is done, so that a clock read now is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory held so far: of the GPU's allocator, or of the process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def device_name(device: torch.device) -> str:
    """The vendor's name for the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name()


@cache
def peak_flops(device: torch.device, precision: str) -> float | None:
    """Peak FLOP/s for matrix products, the denominator of MFU; None where it is not known.

    On GPUs the vendor's dense figure from Lightning's table; on a CPU, for which no vendor publishes one, the best of
    a few products measured here and now.
    """
    if device.type == "cuda":
        return _gpu_peak_flops(device, precision)
    return _measured_flops() if device.type == "cpu" else None


def _gpu_peak_flops(device: torch.device, precision: str) -> float | None:
    from lightning.fabric.utilities.throughput import get_available_flops

    dtype = torch.bfloat16 if precision.startswith("bf16") else torch.float32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it does not know the GPU; the record then says null
        peak = get_available_flops(device, dtype)
    return float(peak) if peak else None


def _measured_flops(size: int = 1024, repeats: int = 5) -> float:
    left = right = torch.ones(size, size)  # nothing random: the stream belongs to dropout
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


@cache
def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@dataclass(frozen=True)
class Gpus:
    """The GPUs that a run will see where it is trained."""

    a_run: int | None  # None: of a machine that cannot be asked from here
    on_machine: int | None  # this one's; None where the run is trained on another
    knob: str = ""  # setting that says how many a run is given; empty where it sees the machine's


def gpus_here() -> Gpus:
    """Those that this process sees."""
    there = torch.cuda.device_count()
    return Gpus(there, there)


def count_devices(accelerator: str, devices: int | str | list[int], gpus: Gpus) -> int:
    """How many devices a run takes of each machine.

    Args:
        accelerator: `cpu`, `gpu` or `auto`, as Lightning takes them.
        devices: a number, a list of indices, or `auto` (-1) for all.
        gpus: what the run will see.

    Raises:
        ValueError: a GPU is asked for and there is none, there are fewer than asked for, or they cannot be counted.
    """
    if accelerator in ("gpu", "cuda") and gpus.a_run == 0:
        raise ValueError(_no_gpu(accelerator, gpus))
    on_gpu = accelerator != "cpu" and gpus.a_run != 0
    if devices in ("auto", -1, "-1"):
        if on_gpu and gpus.a_run is None:
            raise ValueError(
                f"trainer.devices={devices} cannot be counted here, the run is trained on another machine: give the"
                " number, for example trainer.devices=1"
            )
        return (gpus.a_run or 1) if on_gpu else 1
    wanted = _indices(devices) if isinstance(devices, list) else int(devices) if str(devices).isdecimal() else 0
    if wanted < 1:
        raise ValueError(f"trainer.devices={devices} must be a number of at least 1, a list of indices, or auto")
    if isinstance(devices, list) and not on_gpu:
        raise ValueError(f"trainer.devices={devices} lists GPUs, and there is a CPU: use trainer.devices={wanted}")
    if isinstance(devices, list) and gpus.a_run is not None and max(devices) >= gpus.a_run >= wanted:
        raise ValueError(f"trainer.devices={devices} counts GPUs from 0, and a run sees {gpus.a_run}: name one of them")
    if on_gpu and gpus.a_run is not None and wanted > gpus.a_run:
        raise ValueError(_too_few(wanted, devices, gpus))
    return wanted


def _indices(devices: list[int]) -> int:
    """How many GPUs a list names; 0 where it is none of indices."""
    fits = all(type(index) is int and index >= 0 for index in devices) and len({*devices}) == len(devices)
    return len(devices) if fits else 0


def _no_gpu(accelerator: str, gpus: Gpus) -> str:
    asked = f"trainer.accelerator={accelerator}"
    if gpus.on_machine is None:
        return f"{asked} but {gpus.knob}=0 gives a run no GPU: use {gpus.knob}=1, or trainer=cpu"
    return f"{asked} but torch {torch.__version__} sees no GPU: use trainer=cpu"


def _too_few(wanted: int, devices: int | str | list[int], gpus: Gpus) -> str:
    asked = f"trainer.devices={devices}".replace(" ", "")
    if not gpus.knob or (gpus.on_machine is not None and wanted > gpus.on_machine):
        return f"{asked} but torch sees {gpus.on_machine} GPU(s): ask for fewer"
    return f"{asked} but {gpus.knob}={gpus.a_run} gives a run {gpus.a_run} GPU(s): use {gpus.knob}={wanted}"
