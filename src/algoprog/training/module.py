"""The LightningModule: next-token loss, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from algoprog.model.gpt import GPT
from algoprog.training import parallel
from algoprog.training.gradients import GradientsSeen
from algoprog.training.metrics import LanguageModelLoss
from algoprog.training.schedule import Schedule

Batch = tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]


class LanguageModel(L.LightningModule):
    """Trains a GPT to predict the next token.

    Args:
        gpt: the model.
        optimizer: builds the optimizer from parameter groups.
        schedule: factor on the peak learning rate.
        total_steps: optimizer steps of the run.
        bytes_per_token: of the validation text.
        compiled: run the model through torch.compile.
    """

    def __init__(
        self,
        gpt: GPT,
        *,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        schedule: Schedule,
        total_steps: int,
        bytes_per_token: float,
        compiled: bool,
    ) -> None:
        super().__init__()
        self.gpt = gpt
        self.sharded = False
        self.optimizer, self.schedule, self.total_steps = optimizer, schedule, total_steps
        self.train_meter = LanguageModelLoss(bytes_per_token)
        self.val_meter = LanguageModelLoss(bytes_per_token)
        self.gradients = GradientsSeen(name for name, _ in gpt.named_parameters())
        # Kept out of the module tree: the compiled model shares the parameters of `gpt`.
        self.__dict__["apply_gpt"] = torch.compile(gpt) if compiled else gpt

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Mean cross-entropy in nats."""
        inputs, targets = batch
        logits = self.__dict__["apply_gpt"](inputs)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bf16 cannot tell losses apart
        return F.cross_entropy(wide.flatten(0, 1), targets.flatten())

    def configure_model(self) -> None:
        """Shard the model where the strategy asks for it; Lightning calls this when the processes are there."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy) and not self.sharded:
            assert self.device_mesh is not None
            parallel.shard(self.gpt, self.device_mesh["data_parallel"])
            self.sharded = True

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one micro-batch."""
        loss = self.loss(batch)
        self.train_meter.update(loss, batch[1].numel())
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer and its schedule, stepped after every update."""
        optimizer = self.optimizer(self.gpt.parameter_groups())
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule.factor(step, self.total_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Take notice of the whole gradient of a step."""
        if self.gradients.missing:
            self.gradients.note(dict(self.gpt.named_parameters()))

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradient's norm; Lightning's own refuses fused optimizers under mixed precision."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.gpt.parameters(), gradient_clip_val)
