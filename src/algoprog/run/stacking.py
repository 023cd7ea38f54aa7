"""Which runs can be members of one group, and what computing them together is worth here."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import Any

import torch
from torch import Tensor

from algoprog import build
from algoprog.axes import MODEL
from algoprog.baseline import get
from algoprog.model.dims import Dims
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports
from algoprog.run.spec import RunSpec
from algoprog.training.devices.hardware import synchronize
from algoprog.training.members.stacked import losses
from algoprog.training.module import Batch, next_token_loss
from algoprog.training.precision import TRUE_BF16, autocast

CLOSE = 1e-4
"""Relative difference of losses and gradients, in float32, above which stacking a model has gone wrong."""

ROUNDS = 3
"""Steps of every member that are measured at least, after one that is not."""

ENOUGH_SECONDS = 1.0
"""More are measured until they took so long together: short steps are disturbed the most."""


def shape(spec: RunSpec) -> str:
    """What members of one group have in common: all of a run's settings but its seed and what is tuned."""
    config = copy.deepcopy(spec.config)
    for setting in ("seed", *config["tuned"]):
        *path, last = setting.split(".")
        get(config, ".".join(path)).pop(last, None) if path else config.pop(last)
    return json.dumps([config, spec.tokens.info.sha256, spec.total_steps], sort_keys=True, default=str)


def alone_because(spec: RunSpec) -> str | None:
    """Why a run cannot be a member, as the end of a sentence; None where it can."""
    if spec.n_devices > 1:
        return "it trains on several devices"
    if spec.config["trainer"]["compile"]:
        return "trainer.compile=true compiles one model"
    if spec.config["precision"] == TRUE_BF16:
        return f"precision={TRUE_BF16} turns whole models"
    objective = build.construct(spec.config, "objective")
    if objective.adds or objective.ahead:
        return "its objective is more than the cross-entropy of the next token"
    dims = build.dims_of(spec.config, spec.tokens)
    parts = json.dumps({axis: spec.config[axis] for axis in MODEL})
    small = replace(dims, n_layers=min(2, dims.n_layers), vocab_size=min(64, dims.vocab_size), dropout=0.0)
    return _unlike(parts, small)


@cache
def _unlike(parts: str, dims: Dims) -> str | None:
    """Stack two models, and say what goes wrong."""
    config = json.loads(parts)
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("error")  # `vmap` warns of what it computes member by member
        try:
            made = ([_model(config, dims, seed) for seed in range(2)] for _ in range(2))  # a pass may change buffers
            own, together = (_passed(next(made), dims, find) for find in (_one_by_one, _stacked))
        except (RuntimeError, Warning, AssertionError, TypeError, ValueError):  # whatever `vmap` and a part disagree on
            return "its parts cannot be stacked"
    alike = all(
        torch.allclose(a, b, rtol=CLOSE, atol=CLOSE * float(a.abs().max())) for a, b in zip(own, together, strict=True)
    )
    return None if alike else "stacked, its parts compute something else"


def _model(config: dict[str, Any], dims: Dims, seed: int) -> Backbone:
    model = build.gpt(config, dims)
    model.init_weights(seed)
    return model


Find = Callable[[Sequence[Backbone], Sequence[Batch], Sequence[Reports | None]], list[Tensor]]
"""The losses of models on their batches."""


def _passed(models: Sequence[Backbone], dims: Dims, find: Find) -> list[Tensor]:
    """Losses, gradients and buffers of models after one pass."""
    batches = [_batch(dims, 2, seed) for seed in range(len(models))]
    reports = [Reports() for _ in models]
    found = find(models, batches, reports)
    torch.autograd.backward([told.objective(loss) for told, loss in zip(reports, found, strict=True)])
    gradients = [parameter.grad for model in models for parameter in model.parameters()]
    for model in models:
        model.zero_grad()
    buffers = [buffer.clone() for model in models for buffer in model.buffers()]
    return [loss.detach() for loss in found] + [gradient for gradient in gradients if gradient is not None] + buffers


def _one_by_one(
    models: Sequence[Backbone], batches: Sequence[Batch], reports: Sequence[Reports | None]
) -> list[Tensor]:
    return [
        next_token_loss(model(inputs, told), targets)
        for model, (inputs, targets), told in zip(models, batches, reports, strict=True)
    ]


def _stacked(models: Sequence[Backbone], batches: Sequence[Batch], reports: Sequence[Reports | None]) -> list[Tensor]:
    return losses(models, batches, reports, _NoStreams())


def _batch(dims: Dims, size: int, seed: int, device: torch.device | None = None) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(dims.vocab_size, (size, dims.seq_len + 1), generator=generator).to(device)
    return tokens[:, :-1], tokens[:, 1:]


class _NoStreams:
    """Of members that drop nothing."""

    def draw(self, member: int, call: Callable[[], Tensor]) -> Tensor:
        """From the generator of the process."""
        return call()


class Steps:
    """Training steps of members, one after the other or together, as often as one wants to measure them.

    Args:
        spec: the run that all of them are like.
        members: how many.
        device: where.
    """

    def __init__(self, spec: RunSpec, members: int, device: torch.device) -> None:
        dims = build.dims_of(spec.config, spec.tokens)
        self.device, self.precision = device, spec.config["precision"]
        self.models = [_model(spec.config, dims, seed).to(device).train() for seed in range(members)]
        self.optimizers = [build.construct(spec.config, "optim")(model.parameters_by_role()) for model in self.models]
        self.batches = [_batch(dims, spec.micro_batch_size, seed, device) for seed in range(members)]

    def alone(self) -> float:
        """Seconds of a step of every member, one after the other."""
        return self._seconds(_one_by_one, [slice(number, number + 1) for number in range(len(self.models))])

    def together(self) -> float:
        """Seconds of a step of all of them at once."""
        return self._seconds(_stacked, [slice(None)])

    def _seconds(self, find: Find, parts: Sequence[slice]) -> float:
        synchronize(self.device)
        began = time.perf_counter()
        for part in parts:
            models = self.models[part]
            with autocast(self.device.type, self.precision):
                found = find(models, self.batches[part], [Reports() for _ in models])
            torch.autograd.backward(found)
            for optimizer in self.optimizers[part]:
                optimizer.step()
                optimizer.zero_grad()
        synchronize(self.device)
        return time.perf_counter() - began


def gain(spec: RunSpec, members: int, device: torch.device, rounds: int = ROUNDS) -> float:
    """How many times as many tokens a second members train together as one after the other, measured in turns.

    Forward and backward passes and the steps of the optimizers; what is the same for both is left out.
    """
    with torch.random.fork_rng(devices=()):
        steps = Steps(spec, members, device)
        steps.alone(), steps.together()
        measured: list[tuple[float, float]] = []
        while len(measured) < rounds or sum(map(sum, measured)) < ENOUGH_SECONDS:
            measured.append((steps.alone(), steps.together()))
    return median(alone for alone, _ in measured) / median(together for _, together in measured)
