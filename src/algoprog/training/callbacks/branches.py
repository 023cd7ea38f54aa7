"""Annealed end points from one run: short decays that leave the trunk and are forgotten again."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from algoprog.training.callbacks.curve import Curve
from algoprog.training.hardware import synchronize
from algoprog.training.module import LanguageModel
from algoprog.training.random_state import random_state, set_random_state


class Branches(Callback):
    """At chosen steps of the constant stretch, decays a copy to the end of a smaller budget and measures it there.

    The trunk goes on as if nothing had happened: weights, optimizer state, random numbers and meters are put back. A
    branch reads the batches that the trunk reads next, and its cost is that of a run which had stopped there.

    Args:
        curve: measures the end points; must come before this callback.
        branches: (step at which a branch leaves, step at which it ends).
        loader: the training batches from a step on.
        accumulate: micro-batches of a step.
        gradient_clip: largest norm of the gradient.

    Source: Hu et al. 2024 (arXiv 2404.06395), section 4.3; Hägele et al. 2024 (arXiv 2405.18392).
    """

    def __init__(
        self,
        curve: Curve,
        branches: tuple[tuple[int, int], ...],
        *,
        loader: Callable[[int], DataLoader[Any]],
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
        before = _Snapshot(trainer, pl_module)
        started = time.perf_counter()
        loss = self._decay(trainer, pl_module, trainer.global_step, end)
        synchronize(pl_module.device)
        seconds = self.curve.clock.seconds + time.perf_counter() - started
        row = self.curve.measure(trainer, pl_module, step=end, seconds=seconds, train_loss=loss, annealed=True)
        self.curve.write(trainer, row)
        before.restore(trainer, pl_module)
        self.curve.clock.start()

    def _decay(self, trainer: L.Trainer, module: LanguageModel, start: int, end: int) -> float:
        """Train from step `start` to `end` along the branch's schedule; mean training loss in nats."""
        (optimizer,) = trainer.optimizers
        peaks = [float(group["initial_lr"]) for group in optimizer.param_groups]
        batches = iter(self.loader(start))
        total = torch.zeros((), device=module.device)
        for step in range(start, end):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * module.schedule.branch_factor(step, start, end)
            optimizer.zero_grad()
            for _ in range(self.accumulate):
                inputs, targets = (part.to(module.device) for part in next(batches))
                with trainer.precision_plugin.forward_context():
                    loss = module.loss((inputs, targets)) / self.accumulate
                loss.backward()
                total += loss.detach()
            if self.gradient_clip:
                torch.nn.utils.clip_grad_norm_(module.gpt.parameters(), self.gradient_clip)
            optimizer.step()
        optimizer.zero_grad()
        return float(total) / (end - start)


class _Snapshot:
    """Everything that a branch changes, and the way back."""

    def __init__(self, trainer: L.Trainer, module: LanguageModel) -> None:
        (optimizer,) = trainer.optimizers
        self.weights = {name: value.clone() for name, value in module.gpt.state_dict().items()}
        self.optimizer = copy.deepcopy(optimizer.state_dict())
        self.random = random_state(module.device)

    def restore(self, trainer: L.Trainer, module: LanguageModel) -> None:
        """Put it back."""
        module.gpt.load_state_dict(self.weights)
        trainer.optimizers[0].load_state_dict(self.optimizer)
        set_random_state(self.random, module.device)
