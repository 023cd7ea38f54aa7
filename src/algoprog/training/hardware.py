"""What the machine can do and what a run took from it."""

from __future__ import annotations

import platform
import resource
import sys
import time
import warnings
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


def count_devices(accelerator: str, devices: int | str | list[int]) -> int:
    """How many devices of this machine a run takes.

    Args:
        accelerator: `cpu`, `gpu` or `auto`, as Lightning takes them.
        devices: a number, a list of indices, or `auto` (-1) for all.

    Raises:
        ValueError: a GPU is asked for and there is none, or there are fewer than asked for.
    """
    there = torch.cuda.device_count()
    if accelerator in ("gpu", "cuda") and not there:
        raise ValueError(
            f"trainer.accelerator={accelerator} but torch {torch.__version__} sees no GPU: use trainer=cpu"
        )
    on_gpu = there > 0 and accelerator in ("gpu", "cuda", "auto")
    if devices in ("auto", -1, "-1"):
        return there if on_gpu else 1
    wanted = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else 0
    if wanted < 1:
        raise ValueError(f"trainer.devices={devices} must be a number of at least 1, a list of indices, or auto")
    if on_gpu and wanted > there:
        raise ValueError(f"trainer.devices={devices} but torch sees {there} GPU(s): ask for fewer")
    return wanted
