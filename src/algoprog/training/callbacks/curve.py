"""Measures the loss curve: evaluates by optimizer step, writes `curve.csv`, notices divergence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.distributed.fsdp import FSDPModule
from torch.utils.data import DataLoader

from algoprog.runs.divergence import exploded, lost
from algoprog.runs.record import OPTIMIZER_FLOPS
from algoprog.runs.store import append_curve
from algoprog.training.clock import Clock
from algoprog.training.module import LanguageModel
from algoprog.training.optimizer import Averaging
from algoprog.training.reported import by_layer, columns
from algoprog.training.state.checkpoint import CURVE

CHECK_EVERY = 10
"""Steps between two looks at the training loss; each look makes a GPU wait."""


class CurveWriter(Callback):
    """Evaluates on fixed windows after chosen optimizer steps and appends a row to `curve.csv`.

    Args:
        folder: the run's folder.
        loader: the validation windows.
        beyond: longer windows, by their length in those of training, on which the end of a run is evaluated besides.
        at: optimizer steps after which to evaluate.
        annealed_at: those of them at which an annealed budget ends.
        tokens_per_step: training tokens of one optimizer step over all devices.
        flops_per_token: model FLOPs of training on one token.
        optimizer_flops: FLOPs that the optimizer's matrix products take a step.
        clock: training time; paused while evaluating.
    """

    @property
    def state_key(self) -> str:
        """Under what a checkpoint holds its rows, whatever the class is called."""
        return CURVE

    def __init__(
        self,
        folder: Path,
        loader: DataLoader[Any],
        *,
        beyond: Mapping[int, DataLoader[Any]],
        at: frozenset[int],
        annealed_at: frozenset[int],
        tokens_per_step: int,
        flops_per_token: float,
        optimizer_flops: float,
        clock: Clock,
    ) -> None:
        self.folder, self.loader, self.clock = folder, loader, clock
        self.beyond, self.losses_beyond = beyond, dict[int, float]()
        self.at, self.annealed_at = at, annealed_at
        self.tokens_per_step, self.flops_per_token = tokens_per_step, flops_per_token
        self.optimizer_flops = optimizer_flops
        self.rows: list[dict[str, float | int]] = []
        self.written: list[Mapping[str, float | int]] = []  # the same and the end points of branches
        self.statistics: dict[str, dict[str, float]] = {}  # of the parts, at the last row
        self.diverged: str | None = None
        self._last_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure the untrained model, unless the run is going on; then start the clock."""
        if not self.rows:
            self._evaluate(trainer, pl_module)
        self._last_step = trainer.global_step
        self.clock.start()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Evaluate where it is time, once an optimizer step."""
        step = trainer.global_step
        if step == self._last_step:  # a micro-batch whose gradient was only accumulated
            return
        self._last_step = step
        self.clock.step_done(step)
        if step % CHECK_EVERY == 0 or step in self.at:
            self._check_training_loss(trainer, pl_module)
        if step in self.at or self.diverged:
            self.clock.stop()
            self._evaluate(trainer, pl_module)
            self.clock.start()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock, and evaluate beyond the trained context."""
        self.clock.stop()
        assert isinstance(pl_module, LanguageModel)
        for context, loader in self.beyond.items() if not self.diverged else ():
            self.losses_beyond[context] = self._validate(trainer, pl_module, loader)["loss"]

    def state_dict(self) -> dict[str, Any]:
        """What was measured, and in how much time; a diverged run writes no checkpoint."""
        return {"rows": self.rows, "written": self.written, "clock": self.clock.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.rows, self.written = state_dict["rows"], state_dict["written"]
        self.clock.load_state_dict(state_dict["clock"])

    def _check_training_loss(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, LanguageModel)
        lost = not math.isfinite(float(module.train_meter.nats))  # perhaps on this device alone
        if trainer.strategy.reduce_boolean_decision(lost, all=False):
            self._stop(trainer, f"training loss is not finite at step {trainer.global_step}")

    def measure(
        self,
        trainer: L.Trainer,
        module: LanguageModel,
        *,
        step: int,
        seconds: float,
        train_loss: float,
        annealed: bool,
    ) -> dict[str, float | int]:
        """A row of the curve for the weights that the optimizer gives; `step` is what they have cost."""
        charged = step * self.optimizer_flops
        val = self._validate(trainer, module, self.loader)
        tokens = step * self.tokens_per_step
        return {
            "step": step,
            "tokens": tokens,
            "flops": tokens * self.flops_per_token + charged,
            "seconds": round(seconds, 4),
            "train_loss": train_loss,
            "val_loss": val["loss"],
            "val_perplexity": val["perplexity"],
            "val_bits_per_byte": val["bits_per_byte"],
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "annealed": int(annealed),
            **({OPTIMIZER_FLOPS: charged} if self.optimizer_flops else {}),
            **columns(self._statistics(module)),
        }

    def _statistics(self, module: LanguageModel) -> dict[str, dict[str, float]]:
        """What the parts reported since the row before, which begins anew; every process must ask."""
        reported = module.reported
        self.statistics = by_layer(reported.statistics, reported.together())
        reported.reset()
        return self.statistics

    def write(self, trainer: L.Trainer, row: Mapping[str, float | int]) -> None:
        """Append a row to `curve.csv` and show it to the loggers."""
        self.written.append(row)
        if trainer.is_global_zero:
            append_curve(self.folder, row)
        metrics = {name: value for name, value in row.items() if name != "step"}
        speed = self.clock.steps_per_second(trainer.global_step) * self.tokens_per_step
        for logger in trainer.loggers:
            logger.log_metrics({**metrics, "tokens_per_second": speed}, step=int(row["step"]))

    def _evaluate(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, LanguageModel)
        train_loss = module.train_meter.compute()["loss"] if module.train_meter.update_called else math.nan
        module.train_meter.reset()
        step, seconds = trainer.global_step, self.clock.seconds
        annealed = step in self.annealed_at
        row = self.measure(trainer, module, step=step, seconds=seconds, train_loss=train_loss, annealed=annealed)
        self.rows.append(row)
        self.write(trainer, row)
        self.judge(trainer, row)

    def judge(self, trainer: L.Trainer, row: Mapping[str, float | int]) -> None:
        """End the run where the validation loss is lost, or is back up at the end; every process sees the same loss."""
        if self.diverged:
            return
        losses = [float(before["val_loss"]) for before in self.rows]
        at_end = row is self.rows[-1] and trainer.global_step >= trainer.max_steps
        if lost(float(row["val_loss"]), losses[0]) or (at_end and exploded(losses)):
            self._stop(trainer, f"validation loss reached {row['val_loss']:.3g} at step {row['step']}")

    def _validate(self, trainer: L.Trainer, module: LanguageModel, loader: DataLoader[Any]) -> dict[str, float]:
        modes = {part: part.training for part in module.modules()}
        module.eval()
        meter = module.val_meter
        meter.reset()
        # A DataLoader draws a number whenever it starts, from the stream that dropout uses.
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices=()),
            trainer.precision_plugin.forward_context(),
            given(trainer, module),
        ):
            for batch in loader:
                inputs, targets = (part.to(module.device) for part in batch)
                module.score((inputs, targets))
        for part, training in modes.items():
            part.training = training
        return meter.compute()

    def _stop(self, trainer: L.Trainer, reason: str) -> None:
        self.diverged = reason
        trainer.should_stop = True


@contextmanager
def given(trainer: L.Trainer, module: LanguageModel) -> Iterator[None]:
    """The weights that the optimizer gives, where it trains others; none is left gathered from its shards."""
    optimizer = trainer.optimizers[0] if trainer.optimizers else None
    if not isinstance(optimizer, Averaging):
        yield
        return
    with optimizer.averaged():
        yield
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
