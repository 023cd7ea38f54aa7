"""Fit one checked run and write down what came out."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.loggers import Logger
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from algoprog import build, gates
from algoprog.build import RunSpec
from algoprog.config import AXES
from algoprog.overrides import context
from algoprog.provenance import environment
from algoprog.runs.record import CONFIG_FILE, CURVE_FILE, DIVERGED, FINISHED, RECORD_FILE, Record
from algoprog.runs.store import write_atomic, write_record
from algoprog.training import hardware, loggers
from algoprog.training.callbacks.branches import Branches
from algoprog.training.callbacks.curve import Curve
from algoprog.training.callbacks.progress import Progress
from algoprog.training.clock import Clock
from algoprog.variant import option, protocol


def run(spec: RunSpec, folder: Path, overrides: list[str]) -> Record:
    """Train, and leave config, curve and record in `folder`.

    Args:
        spec: the checked run.
        folder: where its files go.
        overrides: the command line that repeats it.
    """
    with _alone(folder):
        for stale in (CURVE_FILE, RECORD_FILE):
            (folder / stale).unlink(missing_ok=True)
        write_atomic(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(spec.config)))
        outcome = _fit(spec, folder)
        record = _record(spec, outcome, overrides)
        if outcome.is_global_zero:
            write_record(folder, record)
        return record


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep two programs from writing one run; further ranks of the same run share their first one's lock.

    Raises:
        ValueError: another program is writing this run.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) or int(os.environ.get("NODE_RANK", "0")):
        yield
        return
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"another program is writing {folder}: wait for it or choose another folder") from None


@dataclass(frozen=True)
class _Outcome:
    """What training left in memory."""

    curve: Curve
    steps: int
    device: torch.device
    n_devices: int
    dead: tuple[str, ...]
    is_global_zero: bool


def _fit(spec: RunSpec, folder: Path) -> _Outcome:
    module = build.module(spec)
    before = {name: parameter.detach().clone() for name, parameter in module.gpt.named_parameters()}
    views = _loggers(spec, folder)
    exit_code = 1
    with warnings.catch_warnings():
        _silence_lightning()
        trainer, curve = _trainer(spec, folder, views)
        # Dropout alone; weights and data have streams of their own. Here, so that no constructor has drawn from it.
        L.seed_everything(spec.seed, verbose=False)
        try:
            trainer.fit(module, _loader(spec.train_windows(), spec))
            exit_code = 0
        finally:
            loggers.finish(views, exit_code=1 if curve.diverged else exit_code)
    if trainer.interrupted:
        raise KeyboardInterrupt
    dead = tuple(name for name, parameter in module.gpt.named_parameters() if parameter.cpu().equal(before[name]))
    return _Outcome(curve, trainer.global_step, module.device, trainer.world_size, dead, trainer.is_global_zero)


def _trainer(spec: RunSpec, folder: Path, views: list[Logger]) -> tuple[L.Trainer, Curve]:
    machine = spec.config["trainer"]
    trainer = L.Trainer(
        accelerator=machine["accelerator"],
        devices=machine["devices"],
        num_nodes=machine["num_nodes"],
        strategy=machine["strategy"],
        precision=spec.config["precision"],
        max_epochs=1,
        max_steps=spec.total_steps,
        accumulate_grad_batches=spec.accumulate,
        gradient_clip_val=spec.config["gradient_clip"],
        limit_val_batches=0,
        logger=views,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    device = trainer.strategy.root_device
    branches = spec.branches()
    curve = Curve(
        folder,
        _loader(spec.val_windows(), spec),
        at=spec.evaluation_steps(),
        annealed_at=frozenset({spec.total_steps} if branches else ()),
        tokens_per_step=spec.tokens_per_step,
        flops_per_token=spec.flops_per_token,
        clock=Clock(device),
    )
    peak = hardware.peak_flops(device, spec.config["precision"])
    progress = Progress(curve, total_steps=spec.total_steps, peak_flops=peak and peak * trainer.world_size)
    annealing = Branches(
        curve,
        branches,
        loader=lambda step: _loader(spec.train_windows(step), spec),
        accumulate=spec.accumulate,
        gradient_clip=spec.config["gradient_clip"],
    )
    trainer.callbacks.extend((curve, annealing, progress))  # type: ignore[attr-defined]
    return trainer, curve


def _loader(windows: Any, spec: RunSpec) -> DataLoader[Any]:
    return DataLoader(windows, batch_size=spec.config["micro_batch_size"], shuffle=False)


def _loggers(spec: RunSpec, folder: Path) -> list[Logger]:
    labels = loggers.RunLabels(
        folder=folder,
        name=spec.name,
        group=folder.parent.name,
        run_id=spec.run_id,
        config={
            **spec.config,
            "variant": spec.variant,
            "run_id": spec.run_id,
            "train_flops_per_token": spec.flops_per_token,
            "n_params": spec.n_params,
        },
    )
    return [build.construct(spec.config, "logger")(labels)]


def _silence_lightning() -> None:
    """Hide advice that does not apply: the loader reads a memory map, and one process is what was asked for."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)


def _record(spec: RunSpec, outcome: _Outcome, overrides: list[str]) -> Record:
    curve, steps = outcome.curve, outcome.steps
    losses = [float(row["val_loss"]) for row in curve.rows]
    finite = [(loss, int(row["step"])) for loss, row in zip(losses, curve.rows, strict=True) if math.isfinite(loss)]
    best = min(finite, default=(None, None))
    tokens = steps * spec.tokens_per_step
    speed = curve.clock.steps_per_second(steps) * spec.tokens_per_step
    peak = hardware.peak_flops(outcome.device, spec.config["precision"])
    passes = tokens / spec.tokens.info.train_tokens
    return Record(
        run_id=spec.run_id,
        cohort=spec.cohort,
        variant=spec.variant,
        axes={axis: option(spec.config[axis]) for axis in AXES},
        model=spec.model,
        seed=spec.seed,
        status=DIVERGED if curve.diverged else FINISHED,
        reason=curve.diverged,
        steps=steps,
        tokens=tokens,
        train_flops=tokens * spec.flops_per_token,
        seconds=round(curve.clock.seconds, 4),
        final_val_loss=losses[-1],
        min_val_loss=best[0],
        min_val_step=best[1],
        n_params=spec.n_params,
        n_embedding_params=spec.n_embedding_params,
        train_flops_per_token=spec.flops_per_token,
        attention_density=spec.attention_density,
        corpus_passes=passes,
        tokens_per_second=speed,
        mfu=speed * spec.flops_per_token / (peak * outcome.n_devices) if peak else None,
        peak_memory_bytes=hardware.peak_memory_bytes(outcome.device),
        data=spec.tokens.info,
        flags=gates.flags(
            diverged=curve.diverged is not None,
            val_losses=losses,
            corpus_passes=passes,
            embedding_share=spec.n_embedding_params / spec.n_params,
            dead=outcome.dead,
        ),
        context=context(overrides),
        overrides=tuple(overrides),
        environment={
            **environment(),
            "device": hardware.device_name(outcome.device),
            "n_devices": outcome.n_devices,
            "threads": torch.get_num_threads(),
            "dead_parameters": list(outcome.dead),
        },
        protocol=protocol(spec.config),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
