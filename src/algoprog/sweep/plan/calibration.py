"""The speed of models on this machine's CPU, from a few steps of each; remembered from one plan to the next."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from algoprog.axes import MODEL
from algoprog.run.spec import RunSpec
from algoprog.runs.store import write_atomic
from algoprog.sweep.plan.speed import Speed, speed_beside, speed_here
from algoprog.training.devices.hardware import device_name

FILE = "calibration.json"


class Calibration:
    """Seconds of steps and evaluations.

    Args:
        folder: where what was measured is kept.
        threads: of a run; None for those that this process has.
        seconds: after so many nothing further is measured, and other models lend their speed.
        beside: runs at the same time, by as many processes at once; 1 measures in this process.
    """

    def __init__(self, folder: Path, threads: int | None, seconds: float, beside: int = 1) -> None:
        self.path, self.threads = folder / FILE, threads or torch.get_num_threads()
        self.left, self.beside = seconds, beside
        self.known = _read(self.path)
        self.here: list[tuple[float, Speed]] = []

    def speed(self, spec: RunSpec) -> Speed | None:
        """That of a run's model; None where no time is left to measure any."""
        key = self._key(spec)
        if key not in self.known and self.left > 0:
            began = time.perf_counter()
            self.known[key] = self._measured(spec)
            self.left -= time.perf_counter() - began
            kept = {name: asdict(speed) for name, speed in self.known.items()}
            with suppress(OSError):  # it is measured again then
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path, json.dumps(kept, indent=1))
        flops = spec.flops_per_token * spec.micro_batch_size * spec.config["model"]["seq_len"]
        if key in self.known:
            self.here.append((flops, self.known[key]))
            return self.known[key]
        lent = [speed.scaled(flops / other) for other, speed in self.here]
        return max(lent, key=lambda speed: speed.micro_batch, default=None)

    def _measured(self, spec: RunSpec) -> Speed:
        together = speed_beside(spec, self.threads, self.beside) if self.beside > 1 else None
        return together or speed_here(spec, self.threads)

    def _key(self, spec: RunSpec) -> str:
        parts = [spec.config[name] for name in (*MODEL, "model", "precision", "objective")]
        shape = [*parts, spec.config["optim"]["_target_"], spec.tokens.info.vocab_size, spec.micro_batch_size]
        where = [device_name(torch.device("cpu")), self.threads, self.beside, torch.__version__]
        return json.dumps([*where, shape], default=str)


def _read(path: Path) -> dict[str, Speed]:
    """What was measured before; a file that cannot be read, or of another form, is written anew."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        speeds = {key: Speed(**{name: float(value) for name, value in raw.items()}) for key, raw in found.items()}
        return {key: speed for key, speed in speeds.items() if speed.micro_batch > 0}
    return {}
