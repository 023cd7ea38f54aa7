"""From what a training run left in memory to its record."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch

from algoprog import build, written
from algoprog.axes import AXES
from algoprog.baseline import against, baseline_name, has, option
from algoprog.run import gates
from algoprog.run.provenance import environment
from algoprog.run.spec import RunSpec
from algoprog.runs.record import BESIDE, COMPARE, DIVERGED, FINISHED, LOSS_AT_CONTEXT, Record
from algoprog.runs.secrets import redacted
from algoprog.training.callbacks.curve import CurveWriter
from algoprog.training.devices import hardware
from algoprog.variant import protocol


@dataclass(frozen=True)
class Outcome:
    """What training left in memory."""

    curve: CurveWriter
    steps: int
    device: torch.device
    n_devices: int
    dead: tuple[str, ...]
    resumed: list[dict[str, Any]]
    members: int  # that trained in one process, this one included


def surroundings(spec: RunSpec, device: torch.device) -> dict[str, Any]:
    """What is no part of a run's identity and may yet change its last digits or its seconds."""
    return {
        **environment(),
        "device": hardware.device_name(device),
        "threads": torch.get_num_threads(),
        **{name: spec.config["trainer"][name] for name in ("strategy", "compile")},
    }


def record_of(spec: RunSpec, outcome: Outcome, overrides: list[str]) -> Record:
    """The record of a run that has just ended."""
    curve, steps = outcome.curve, outcome.steps
    losses = [float(row["val_loss"]) for row in curve.rows]
    finite = [(loss, int(row["step"])) for loss, row in zip(losses, curve.rows, strict=True) if math.isfinite(loss)]
    best = min(finite, default=(None, None))
    tokens = steps * spec.tokens_per_step
    speed = curve.clock.steps_per_second(steps) * spec.tokens_per_step
    peak = hardware.peak_flops(outcome.device, spec.config["precision"])
    passes = tokens / spec.tokens.info.train_tokens
    shown = written.settings(spec.config)
    return Record(
        run_id=spec.run_id,
        cohort=spec.cohort,
        variant=spec.variant,
        axes={axis: option(spec.config[axis]) for axis in build.axes_of(spec.config)},
        choices=_choices(shown),
        baseline=baseline_name(spec.config),
        against=against(shown),
        model=spec.model,
        seed=spec.seed,
        status=DIVERGED if curve.diverged else FINISHED,
        reason=curve.diverged,
        steps=steps,
        tokens=tokens,
        train_flops=spec.charged_flops(steps),
        optimizer_flops=steps * spec.optimizer_flops,
        seconds=_known(round(curve.clock.seconds, 4)),
        final_val_loss=losses[-1],
        min_val_loss=best[0],
        min_val_step=best[1],
        n_params=spec.n_params,
        n_active_params=spec.n_active_params,
        n_embedding_params=spec.n_embedding_params,
        train_flops_per_token=spec.flops_per_token,
        attention_density=spec.attention_density,
        facts={**spec.facts, **_by_context(spec, curve)},
        stats={f"{key} {name}": value for key, told in curve.statistics.items() for name, value in told.items()},
        corpus_passes=passes,
        tokens_per_second=_known(speed),
        mfu=_known(speed * spec.flops_per_token / (peak * outcome.n_devices)) if peak else None,
        peak_memory_bytes=hardware.peak_memory_bytes(outcome.device) if outcome.members == 1 else None,
        n_devices=outcome.n_devices,
        data=replace(spec.tokens.info, name=redacted(spec.tokens.info.name)),
        flags=gates.flags(
            diverged=curve.diverged is not None,
            val_losses=losses,
            corpus_passes=passes,
            embedding_share=spec.n_embedding_params / spec.n_params,
            dead=outcome.dead,
            sparse=spec.sparse,
            attention_density=spec.attention_density or 0.0,
            single_end=spec.role == COMPARE and spec.anneals and not spec.branches(),
        ),
        context=written.changed(overrides),
        overrides=tuple(written.words(overrides)),
        environment={
            **surroundings(spec, outcome.device),
            "n_devices": outcome.n_devices,
            **({"members": outcome.members} if outcome.members > 1 else {}),
            "dead_parameters": list(outcome.dead),
            "resumed": outcome.resumed,  # of every checkpoint that the run went on from: step, commit, what differed
        },
        protocol=protocol(shown),
        role=spec.role,
        beside=_beside(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _by_context(spec: RunSpec, curve: CurveWriter) -> dict[str, float]:
    """Final losses in nats over windows of 1, 2, ... times the trained context, of the lengths asked for."""
    known = {1: float(curve.rows[-1]["val_loss"]), **curve.losses_beyond}
    told = {f"{LOSS_AT_CONTEXT}{context}": known.get(context, math.nan) for context in spec.contexts}
    return {name: loss for name, loss in told.items() if math.isfinite(loss)}


def _choices(config: dict[str, Any]) -> dict[str, Any]:
    """Option and knobs of every axis that the run has."""
    parts = {axis: config[axis] for axis in AXES if axis in config and has(config, axis)}
    return {
        axis: {"option": option(part), **{knob: value for knob, value in part.items() if not knob.startswith("_")}}
        for axis, part in parts.items()
    }


def _beside() -> int | None:
    """Runs that train beside this one, as the engine that started it says; None where none says so."""
    told = os.environ.get(BESIDE, "")
    return int(told) if told.isdecimal() else None


def _known(number: float) -> float | None:
    """None for NaN: what nobody knows of a run that shared its process."""
    return None if math.isnan(number) else number
