"""When a run writes a checkpoint, and what Lightning's own does not hold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from algoprog.training.clock import Clock
from algoprog.training.devices.agreement import Agreement
from algoprog.training.interrupt import StopRequest
from algoprog.training.module import LanguageModel
from algoprog.training.state import checkpoint as files
from algoprog.training.state.random_state import random_state, set_random_state

MAX_SHARE = 0.02
"""Of the time, spent on checkpoints by time at most: a slow disk makes them rarer."""


class Checkpoints(Callback):
    """Writes a checkpoint after optimizer steps: every so often, and before a signal ends the run.

    It must be the last callback: random generators are put back behind all that others draw at the start, and a
    checkpoint holds the rows that others wrote after the same step.

    Args:
        folder: the run's folder.
        clock: training time; paused while writing.
        run_id: identity of the run.
        environment: what trains now: sources, versions, machine.
        resumed: every checkpoint that the run went on from, as the record lists them.
        seconds: shortest time between two checkpoints; None for none by time.
        steps: optimizer steps between two checkpoints; None for none by steps.
        request: takes note of signals.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        run_id: str,
        environment: dict[str, Any],
        resumed: list[dict[str, Any]],
        seconds: float | None,
        steps: int | None,
        request: StopRequest,
    ) -> None:
        self.folder, self.clock = folder, clock
        self.run_id, self.environment, self.resumed = run_id, environment, resumed
        self.seconds, self.steps = seconds, steps
        self.request, self.agreement = request, Agreement()
        self._ranks: list[dict[str, Any]] | None = None
        self._last_step, self._written, self._took = 0, 0.0, 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put back what a checkpoint holds of this process, and listen to signals: Lightning has its own by now."""
        if self._ranks is not None:
            self._restore(pl_module, self._ranks[trainer.global_rank])
        self._last_step, self._written = trainer.global_step, time.monotonic()
        self.agreement.start(trainer.global_step)
        self.request.listen()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Write where it is time, once an optimizer step; a run that is over has its record instead."""
        step = trainer.global_step
        if step == self._last_step or step >= trainer.max_steps or trainer.should_stop:
            return
        self._last_step = step
        since = time.monotonic() - self._written
        late = self.seconds is not None and since >= max(self.seconds, self._took / MAX_SHARE)
        stop, late = self.agreement.on(trainer, bool(self.request.received), late)
        if stop or late or (self.steps and step % self.steps == 0):
            self._save(trainer, step)
        if stop:
            self.request.take_effect(step)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add identity, sources, and of every process the random generators and the mean training loss."""
        assert isinstance(pl_module, LanguageModel)
        meter = pl_module.train_meter
        own = {
            "random": random_state(pl_module.device),
            "nats": float(meter.nats),
            "tokens": int(meter.tokens),
            "without_gradient": pl_module.gradients.look(),
            "reported": pl_module.reported.state(),
        }
        ranks: list[Any] = [own] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(ranks, own)
        checkpoint[files.STATE] = {
            "run_id": self.run_id,
            "environment": self.environment,
            "resumed": self.resumed,
            "ranks": ranks,
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep it until training starts, and count its batches as this run cuts them."""
        self._ranks = checkpoint[files.STATE]["ranks"]
        files.recount(checkpoint, trainer.accumulate_grad_batches)

    def _save(self, trainer: L.Trainer, step: int) -> None:
        self.clock.stop()
        began = time.monotonic()
        trainer.save_checkpoint(self.folder / files.FOLDER / files.name(step), weights_only=False)
        self._written = time.monotonic()
        self._took = self._written - began
        self.clock.start()

    def _restore(self, module: L.LightningModule, own: dict[str, Any]) -> None:
        assert isinstance(module, LanguageModel)
        module.train_meter.nats.fill_(own["nats"])
        module.train_meter.tokens.fill_(own["tokens"])
        if "reported" in own:
            module.reported.restore(own["reported"], module.device)
        module.gradients.missing = own.get("without_gradient", module.gradients.missing)
        set_random_state(own["random"], module.device)
