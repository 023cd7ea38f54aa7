"""Annealed end points from one run: short decays that leave the trunk and are forgotten again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import ParallelStrategy, Strategy
from torch.utils.data import DataLoader

from algoprog.training.callbacks.curve import CurveWriter
from algoprog.training.devices.hardware import synchronize
from algoprog.training.module import Batch, LanguageModel
from algoprog.training.state.snapshot import Snapshot


class Branches(Callback):
    """At chosen steps of the constant stretch, decays a copy to the end of a smaller budget and measures it there.

    The trunk goes on as if nothing had happened: weights, optimizer state, random numbers and meters are put back. A
    branch reads the batches that the trunk reads next, and its cost is that of a run which had stopped there. Of
    several processes each reads its share; gradients come together as they do in the trunk.

    Args:
        curve: measures the end points; must come before this callback.
        branches: (step at which a branch leaves, step at which it ends).
        loader: the training batches of this process from a step on.
        accumulate: micro-batches of a step.
        gradient_clip: largest norm of the gradient.

    Source: Hu et al. 2024 (arXiv 2404.06395), section 4.3; Hägele et al. 2024 (arXiv 2405.18392).
    """

    def __init__(
        self,
        curve: CurveWriter,
        branches: tuple[tuple[int, int], ...],
        *,
        loader: Callable[[int], DataLoader[Batch]],
        accumulate: int,
        gradient_clip: float,
    ) -> None:
        self.curve, self.ends = curve, dict(branches)
        self.loader, self.accumulate, self.gradient_clip = loader, accumulate, gradient_clip

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave out the branches that a run which goes on from a checkpoint has behind it."""
        self.ends = {start: end for start, end in self.ends.items() if start > trainer.global_step}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Branch where it is time, once an optimizer step."""
        end = self.ends.pop(trainer.global_step, None)
        if end is None or trainer.should_stop:
            return
        assert isinstance(pl_module, LanguageModel)
        self.curve.clock.stop()
        with Snapshot(trainer, pl_module):
            started = time.perf_counter()
            loss = self._decay(trainer, pl_module, trainer.global_step, end)
            synchronize(pl_module.device)
            seconds = self.curve.clock.seconds + time.perf_counter() - started
            row = self.curve.measure(trainer, pl_module, step=end, seconds=seconds, train_loss=loss, annealed=True)
        self.curve.write(trainer, row)
        self.curve.judge(trainer, row)
        self.curve.clock.start()

    def _decay(self, trainer: L.Trainer, module: LanguageModel, start: int, end: int) -> float:
        """Train from step `start` to `end` along the branch's schedule; mean training loss in nats."""
        (optimizer,) = trainer.optimizers
        peaks = [float(group["initial_lr"]) for group in optimizer.param_groups]

        def set_rate(step: int) -> None:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * module.schedule.branch_factor(step, start, end)

        with torch.random.fork_rng(devices=()):  # a DataLoader draws a number when it starts
            batches = iter(self.loader(start))
        for step in range(start, end):
            set_rate(step)
            optimizer.zero_grad()
            for micro in range(self.accumulate):
                batch = next(batches)
                with _together(trainer.strategy, last=micro + 1 == self.accumulate):
                    self._add_gradient(trainer, module, batch)
            module.configure_gradient_clipping(optimizer, self.gradient_clip)
            optimizer.step()
            module.adapt()
        optimizer.zero_grad()
        set_rate(end)
        return module.train_meter.compute()["loss"]

    def _add_gradient(self, trainer: L.Trainer, module: LanguageModel, batch: Batch) -> None:
        """Forward and backward pass of a micro-batch, as Lightning does them."""
        inputs, targets = (part.to(module.device) for part in batch)
        loss = trainer.strategy.training_step((inputs, targets), 0)
        assert isinstance(loss, torch.Tensor)
        trainer.strategy.backward(loss / self.accumulate, None)


def _together(strategy: Strategy, *, last: bool) -> AbstractContextManager[None]:
    """Replicas reduce their gradients behind the last micro-batch of a step alone."""
    return nullcontext() if last or not isinstance(strategy, ParallelStrategy) else strategy.block_backward_sync()
