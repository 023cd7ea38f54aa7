"""The speed of a model on this machine's CPU, from a pass or two of it; remembered from one plan to the next."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from algoprog import build
from algoprog.axes import MODEL
from algoprog.model.interface.backbone import Backbone
from algoprog.model.interface.reports import Reports
from algoprog.run.spec import RunSpec
from algoprog.runs.store import write_atomic
from algoprog.training.cross_entropy import cross_entropy, losses_ahead
from algoprog.training.devices.hardware import device_name
from algoprog.training.precision import autocast, cast

FILE = "calibration.json"

MOST_FLOPS = 3e10
"""Of a measured pass, where one sequence does not need more: a second or so on two cores."""

ENOUGH_SECONDS = 0.3
"""Passes that took less together are followed by a larger one, for the first also pays for what is done once."""

LAYERS = 2
"""Of the measured model: every further layer takes as long as the second, and its FLOPs are counted likewise."""


class Calibration:
    """FLOP/s of forward and backward passes, one sequence or a few at a time.

    Args:
        folder: where the measured speeds are kept.
        threads: of a run; None for those that this process has.
        seconds: after so many nothing further is measured, and other models lend their speed.
    """

    def __init__(self, folder: Path, threads: int | None, seconds: float) -> None:
        self.path, self.threads = folder / FILE, threads or torch.get_num_threads()
        self.left = seconds
        self.known = _read(self.path)
        self.here: list[float] = []

    def flops_per_second(self, spec: RunSpec) -> float | None:
        """The speed of a run's model; None where no time is left to measure any."""
        key = self._key(spec)
        if key not in self.known and self.left > 0:
            began = time.perf_counter()
            self.known[key] = self._measured(spec)
            self.left -= time.perf_counter() - began
            with suppress(OSError):  # it is measured again then
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path, json.dumps(self.known, indent=1))
        if key in self.known:
            self.here.append(self.known[key])
            return self.known[key]
        return min(self.here, default=None)

    def _key(self, spec: RunSpec) -> str:
        parts = [spec.config[name] for name in (*MODEL, "model", "precision", "objective")]
        shape = [*parts, spec.tokens.info.vocab_size, spec.micro_batch_size]
        return json.dumps([device_name(torch.device("cpu")), self.threads, torch.__version__, shape], default=str)

    def _measured(self, spec: RunSpec) -> float:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with torch.random.fork_rng(devices=()):
                return _speed(spec)
        finally:
            torch.set_num_threads(before)


def _speed(spec: RunSpec) -> float:
    """FLOP/s of passes that double in size up to the largest, until they took long enough together."""
    dims = build.dims_of(spec.config, spec.tokens)
    precision = spec.config["precision"]
    gpt = build.gpt(spec.config, replace(dims, n_layers=min(LAYERS, dims.n_layers))).train()
    gpt.init_weights(0)
    cast(gpt, precision)
    a_sequence = gpt.flops_per_token() * dims.seq_len
    most = max(1, min(spec.micro_batch_size, int(MOST_FLOPS / a_sequence)))
    fastest: dict[int, float] = {}
    sequences, spent = 1, 0.0
    while spent < ENOUGH_SECONDS:
        measured = sequences
        took = _pass_seconds(gpt, torch.zeros(measured, dims.seq_len, dtype=torch.long), precision)
        fastest[measured] = min(took, fastest.get(measured, took))
        spent += took
        sequences = min(2 * measured, most)
    return float(a_sequence * measured / fastest[measured])


def _pass_seconds(gpt: Backbone, batch: Tensor, precision: str) -> float:
    began = time.perf_counter()
    reports = Reports()
    with autocast("cpu", precision):
        of_next = cross_entropy(gpt(batch, reports).flatten(0, 1).float(), batch.flatten())
        loss = sum(losses_ahead(reports.ahead, batch), start=of_next)
    loss.backward()
    return time.perf_counter() - began


def _read(path: Path) -> dict[str, float]:
    """What was measured before; a file that cannot be read is written anew."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {key: float(value) for key, value in found.items() if value > 0}
    return {}
