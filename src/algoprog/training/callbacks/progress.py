"""The progress bar of one run."""

from __future__ import annotations

import sys

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from algoprog.training.callbacks.curve import CurveWriter

REFRESH_EVERY = 10
"""Steps between two looks at the loss; each look makes a GPU wait."""


class Progress(Callback):
    """Step, loss, tokens/s, MFU and the time left, on one line; silent where nobody watches.

    Args:
        curve: measures the loss and the time.
        total_steps: optimizer steps of the run.
        peak_flops: of all devices, for MFU; None where it is not known.
    """

    def __init__(self, curve: CurveWriter, *, total_steps: int, peak_flops: float | None) -> None:
        self.curve, self.peak_flops = curve, peak_flops
        self.bar: tqdm[None] | None = None
        self.total_steps = total_steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar on the first process."""
        if trainer.is_global_zero:
            done = trainer.global_step  # above 0 where the run goes on from a checkpoint
            self.bar = tqdm(
                total=self.total_steps, initial=done, unit="step", disable=None, file=sys.stderr, dynamic_ncols=True
            )

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Move on, with the figures every few steps."""
        if self.bar is None or self.bar.disable or trainer.global_step == self.bar.n:
            return
        self.bar.update(trainer.global_step - self.bar.n)
        if self.bar.n % REFRESH_EVERY == 0 or self.bar.n == self.total_steps:
            self.bar.set_postfix_str(self._figures(self.bar.n), refresh=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def _figures(self, step: int) -> str:
        tokens_per_second = self.curve.clock.steps_per_second(step) * self.curve.tokens_per_step
        figures = [f"val {self.curve.rows[-1]['val_loss']:.3f}", f"{tokens_per_second:,.0f} tok/s"]
        if self.peak_flops:
            figures.append(f"MFU {tokens_per_second * self.curve.flops_per_token / self.peak_flops:.0%}")
        return ", ".join(figures)
