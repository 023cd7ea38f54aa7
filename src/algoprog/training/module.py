"""The LightningModule: next-token loss, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import lightning as L
import torch
from jaxtyping import Float, Int
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from algoprog.data.windows import IGNORED
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.part import Adapting
from algoprog.model.interface.reports import Reports, key
from algoprog.training.cross_entropy import cross_entropy, losses_ahead
from algoprog.training.devices import parallel
from algoprog.training.gradients import GradientsSeen
from algoprog.training.metrics import LanguageModelLoss
from algoprog.training.objectives import Objective
from algoprog.training.optimizer import Recipe, at_their_rates
from algoprog.training.reported import Totals
from algoprog.training.schedule import Schedule

CLIP_EPS = 1e-6
"""PyTorch adds it to the norm that it clips by."""

Batch = tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]


class LanguageModel(L.LightningModule):
    """Trains a model to predict the next token.

    Args:
        gpt: the model.
        optimizer: builds the optimizer from the model's parameters by role.
        schedule: factor on the peak learning rate.
        objective: what is minimised beside the cross-entropy.
        total_steps: optimizer steps of the run.
        bytes_per_token: of the validation text.
        token_bytes: of every token; None where they are not known.
        compiled: run the model through torch.compile.
    """

    def __init__(
        self,
        gpt: Backbone,
        *,
        optimizer: Recipe,
        schedule: Schedule,
        objective: Objective,
        total_steps: int,
        bytes_per_token: float,
        compiled: bool,
        token_bytes: Int[Tensor, " vocab"] | None = None,
    ) -> None:
        super().__init__()
        self.gpt = gpt
        self.sharded = False
        self.optimizer, self.schedule, self.total_steps = optimizer, schedule, total_steps
        self.objective = objective
        self.train_meter = LanguageModelLoss(bytes_per_token)
        self.val_meter = LanguageModelLoss(bytes_per_token)
        statistics = gpt.statistics()
        self.reported, self.reported_in_step = Totals(statistics), Totals(statistics)
        self.gradients = GradientsSeen(name for name, _ in gpt.named_parameters())
        # Kept out of the module tree: the compiled model shares the parameters of `gpt`.
        self.__dict__["apply_gpt"] = torch.compile(gpt) if compiled else gpt
        self.__dict__["token_bytes"] = token_bytes  # not in checkpoints, and not sent round with every step

    def bytes_of(self, targets: Int[Tensor, " scored"]) -> int | None:
        """Bytes of text that tokens stand for; None where nobody knows."""
        table = self.__dict__["token_bytes"]
        if table is None:
            return None
        table = self.__dict__["token_bytes"] = table.to(targets.device)
        return int(table[targets].sum())

    def loss(self, batch: Batch, reports: Reports | None = None) -> Float[Tensor, ""]:
        """Mean cross-entropy in nats over all targets but the ignored; `reports` takes what parts tell."""
        inputs, targets = batch
        logits = self.__dict__["apply_gpt"](inputs, reports)
        if reports is not None:
            self._add_objective(logits, targets, reports)
        return next_token_loss(logits, targets)

    def _add_objective(self, logits: Tensor, targets: Tensor, reports: Reports) -> None:
        """What training minimises beside the cross-entropy, over all targets but the ignored."""
        for loss in losses_ahead(reports.ahead, targets):
            reports.add_loss(loss)
        if not self.objective.adds:
            return
        scored = targets != IGNORED
        wide = logits[scored].to(torch.promote_types(logits.dtype, torch.float32))
        reports.add_loss(self.objective.added(wide, targets[scored]))

    def score(self, batch: Batch) -> None:
        """Add a validation batch to the meter, less the targets that are ignored."""
        targets = batch[1][batch[1] != IGNORED]
        self.val_meter.update(self.loss(batch), targets.numel(), self.bytes_of(targets))

    def configure_model(self) -> None:
        """Shard the model where the strategy asks for it; Lightning calls this when the processes are there."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy) and not self.sharded:
            assert self.device_mesh is not None
            parallel.shard(self.gpt, self.device_mesh["data_parallel"])
            self.sharded = True

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """What is minimised of one micro-batch: the cross-entropy, and the losses of parts."""
        reports = Reports()
        loss = self.loss(batch, reports)
        self.train_meter.update(loss, batch[1].numel())
        self.reported.add(reports)
        self.reported_in_step.add(reports)
        return reports.objective(loss)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """One update, and that of the parts that adapt by rules of their own."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.adapt()

    def adapt(self) -> None:
        """Let the parts that adapt do so, by what was reported in the step that ends here."""
        told = self.reported_in_step.together() if self._adapting else {}
        for part in self._adapting:
            part.adapt({name: told[key(part.site.layer, name)] for name in part.statistics()})
        self.reported_in_step.reset()

    @cached_property
    def _adapting(self) -> list[Adapting]:
        """Listed once: it takes long enough to show in steps of small models."""
        return [part for part in self.gpt.parts().values() if isinstance(part, Adapting)]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer and its schedule, stepped after every update."""
        optimizer = at_their_rates(self.optimizer(self.gpt.parameters_by_role()))
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
        if not gradient_clip_val:
            return
        parameters = [parameter for parameter in self.gpt.parameters() if parameter.grad is not None]
        norm = get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        # PyTorch multiplies by 1 where nothing is to be clipped, so that it need not wait for a GPU.
        if self.device.type != "cpu" or self.sharded or not gradient_clip_val / (norm + CLIP_EPS) >= 1:
            clip_grads_with_norm_(parameters, gradient_clip_val, norm)


def next_token_loss(logits: Float[Tensor, "batch seq v"], targets: Int[Tensor, "batch seq"]) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats over all targets but the ignored."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())
