"""How long a run will take, from runs of the same model that this machine has finished, or from a few steps of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from algoprog.run.memory import on_cpu
from algoprog.run.spec import RunSpec
from algoprog.runs.record import FINISHED
from algoprog.runs.store import find_runs
from algoprog.sweep.plan.calibration import Calibration
from algoprog.sweep.plan.speed import Speed
from algoprog.training.devices.hardware import Gpus, device_name


@dataclass(frozen=True)
class _Speed:
    """What one finished run says about the speed of others."""

    model: str
    device: str
    precision: str
    threads: int | None
    variant: str
    flops_per_second: float


@dataclass(frozen=True)
class Expected:
    """Seconds of training, branches and evaluations, and how many finished runs say so: 0 for a calibration."""

    seconds: float
    n_runs: int
    same_variant: bool


class Pace:
    """The speed of the runs that finished below a folder.

    Args:
        root: the folder.
        gpus: those that the runs to come will see.
        calibration: measures on a CPU of this machine what no finished run tells; None leaves it open.
    """

    def __init__(self, root: Path, gpus: Gpus, calibration: Calibration | None = None) -> None:
        self.gpus, self.calibration = gpus, calibration
        self.names: dict[bool, str | None] = {}
        self.speeds = [speed for folder in find_runs(root) if (speed := _read(folder))] if root.is_dir() else []

    def expected(self, spec: RunSpec) -> Expected | None:
        """By the median speed of runs alike, of the same variant if there are any; None if nothing tells."""
        alike = [speed for speed in self.speeds if self._alike(speed, spec)]
        same = [speed for speed in alike if speed.variant == spec.variant]
        chosen = same or alike
        if chosen:
            flops = spec.paid_flops + spec.evaluation_flops
            return Expected(flops / median(s.flops_per_second for s in chosen), len(chosen), bool(same))
        speed = self._calibrated(spec)
        return Expected(_seconds(spec, speed), 0, same_variant=False) if speed else None

    def _calibrated(self, spec: RunSpec) -> Speed | None:
        here = self.gpus.on_machine is not None and on_cpu(spec.config, self.gpus)
        return self.calibration.speed(spec) if here and self.calibration else None

    def _alike(self, speed: _Speed, spec: RunSpec) -> bool:
        threads, cpu = spec.config["trainer"]["threads"], on_cpu(spec.config, self.gpus)
        if (speed.model, speed.precision) != (spec.model, spec.config["precision"]):
            return False
        if speed.device != self._device(cpu):
            return False
        return not cpu or threads is None or speed.threads == threads

    def _device(self, cpu: bool) -> str | None:
        """Name of the device, as records hold it; None where this machine cannot tell."""
        if self.gpus.on_machine is None:
            return None
        if cpu not in self.names:
            self.names[cpu] = device_name(torch.device("cpu" if cpu else "cuda"))
        return self.names[cpu]


def micro_batches(spec: RunSpec) -> int:
    """Forward and backward passes of a run and its branches."""
    return spec.paid_steps * spec.accumulate


def _seconds(spec: RunSpec, speed: Speed) -> float:
    """Of all steps and evaluations, those of branches included."""
    evaluations = len(spec.evaluation_steps()) + len(spec.branches())
    scored = evaluations * math.ceil(len(spec.val_windows()) / spec.micro_batch_size)
    return micro_batches(spec) * speed.micro_batch + spec.paid_steps * speed.step + scored * speed.evaluation


def _read(folder: Path) -> _Speed | None:
    """The speed of one run; None for a run that did not finish, and for a record that cannot be read."""
    try:
        raw = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        if raw["status"] != FINISHED or not raw["seconds"] > 0:
            return None
        return _Speed(
            model=raw["model"],
            device=raw["environment"]["device"],
            precision=raw["protocol"]["precision"],
            threads=raw["environment"].get("threads"),
            variant=raw["variant"],
            flops_per_second=raw["train_flops"] / raw["seconds"] / raw["environment"].get("n_devices", 1),
        )
    except (OSError, KeyError, TypeError, ValueError):
        return None
