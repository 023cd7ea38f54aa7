"""Tells the outside how far a run is."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from algoprog.runs.status import FAILED, RUNNING, STOPPED, new_status, next_attempt, now, one_line, write_status
from algoprog.training.callbacks.curve import CurveWriter
from algoprog.training.module import LanguageModel

EVERY_SECONDS = 2.0
"""Shortest time between two heartbeats; each looks at the training loss, which makes a GPU wait."""


class Heartbeat(Callback):
    """Keeps `status.json` up to date on the first process of a run.

    Args:
        folder: the run's folder.
        curve: holds the last evaluation; must come before this callback.
        total_steps: optimizer steps of the run.
    """

    def __init__(self, folder: Path, curve: CurveWriter, *, total_steps: int) -> None:
        self.folder, self.curve = folder, curve
        self.status = new_status(state=RUNNING, attempt=next_attempt(folder), total_steps=total_steps)
        self._since: tuple[int, float] | None = None  # step and time when training began or went on
        self._written = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Say that there is a process."""
        self._write(trainer, pl_module)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count the speed from here, behind the evaluation of the untrained model."""
        self._since = trainer.global_step, time.monotonic()
        self._write(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Write when it is time."""
        if time.monotonic() - self._written >= EVERY_SECONDS:
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the last step."""
        self._write(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Write what ended the run."""
        state = FAILED if isinstance(exception, Exception) else STOPPED
        step, reason = trainer.global_step, one_line(exception)
        self.status = replace(self.status, state=state, step=step, reason=reason, updated=now())
        if trainer.is_global_zero:  # losses as they last were: after a fault of the device nothing can be read from it
            write_status(self.folder, self.status)

    def _write(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(module, LanguageModel)
        meter = module.train_meter
        seen = int(meter.tokens)
        last = self.curve.rows[-1] if self.curve.rows else {}
        self.status = replace(
            self.status,
            step=trainer.global_step,
            train_loss=float(meter.nats) / seen if seen else last.get("train_loss"),
            val_loss=last.get("val_loss"),
            steps_per_second=self._speed(trainer.global_step),
            device=_device(module),
            updated=now(),
        )
        write_status(self.folder, self.status)
        self._written = time.monotonic()

    def _speed(self, step: int) -> float | None:
        if self._since is None or step == self._since[0]:
            return None
        return (step - self._since[0]) / (time.monotonic() - self._since[1])


def _device(module: LanguageModel) -> str:
    """`cpu`, or the GPU by the name that the machine gives it: every run of a sweep sees its own as number 0."""
    device = module.device
    if device.type != "cuda":
        return device.type
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    index = device.index or 0
    return f"gpu {visible[index] if index < len(visible) else index}"
