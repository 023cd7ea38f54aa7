"""What steps and evaluations of a run take on a CPU, from a few: alone, or as many at a time as there will be."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from statistics import fmean
from typing import Any

import torch

from algoprog import build
from algoprog.run.spec import RunSpec, language_model, priced
from algoprog.sweep.engine.job import PRELOAD, begin
from algoprog.training.precision import autocast, cast

MOST_FLOPS = 3e10
"""Of a measured pass, where one sequence does not need more: a second or so on two cores."""

ENOUGH_SECONDS = 0.6
"""Steps are measured until they took so long together, after one that also pays for what is done once."""

MOST_SECONDS = 2.0
"""Of a measured round: written out attention takes far longer than its FLOPs say, so one sequence is tried first."""

PASSES = 4
"""A round takes as long as so many forward passes: one, with a backward pass of two, and one for evaluation."""

LAYERS = (1, 2)
"""Of the measured models where the whole one is too expensive: every further layer takes as long as the second."""

PATIENCE = 90.0
"""Seconds that processes which measure side by side may take; the first of them waits for the imports."""


@dataclass(frozen=True)
class Speed:
    """Seconds, of a process with its share of the machine."""

    micro_batch: float  # forward and backward pass
    step: float  # clipping, the optimizer, what adapts
    evaluation: float  # forward pass of a micro-batch without gradient

    def scaled(self, factor: float) -> Speed:
        """That of a model so many times as expensive."""
        return Speed(**{name: factor * seconds for name, seconds in asdict(self).items()})


def speed_here(spec: RunSpec, threads: int) -> Speed:
    """Measured in this process, whose threads and random numbers stay what they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=()):
            return _of_few_layers(spec) if _expensive(spec) else _measured(spec, spec.micro_batch_size)
    finally:
        torch.set_num_threads(before)


def speed_beside(spec: RunSpec, threads: int, processes: int) -> Speed | None:
    """The mean of so many processes that measure at the same time, as runs will train; None where they fail."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    together, given = context.Barrier(processes), {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    answers, workers = [], []
    for _ in range(processes):
        answer, tell = context.Pipe(duplex=False)
        worker = context.Process(target=_tell, args=(spec.config, given, threads, together, tell), daemon=True)
        worker.start()
        tell.close()
        answers.append(answer)
        workers.append(worker)
    found = [speed for answer in answers if (speed := _heard(answer))]
    for worker in workers:
        worker.kill()
        worker.join()
    if len(found) < processes:
        return None
    return Speed(**{name: fmean(getattr(speed, name) for speed in found) for name in asdict(found[0])})


def _heard(answer: Connection) -> Speed | None:
    with suppress(EOFError, OSError):
        if answer.poll(PATIENCE):
            found: Speed = answer.recv()
            return found
    return None


def _tell(config: dict[str, Any], share: dict[str, str], threads: int, together: Barrier, tell: Connection) -> None:
    begin(share)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    spec = priced(config, build.tokens(config, progress=False))
    together.wait(PATIENCE)
    tell.send(speed_here(spec, threads))


def _flops(spec: RunSpec, sequences: int) -> float:
    return sequences * int(spec.config["model"]["seq_len"]) * spec.flops_per_token


def _expensive(spec: RunSpec) -> bool:
    return _flops(spec, spec.micro_batch_size) > MOST_FLOPS


def _of_few_layers(spec: RunSpec) -> Speed:
    """From models of few layers, and as many sequences as are cheap; the rest is taken to grow in proportion."""
    depth = int(spec.config["model"]["n_layers"])
    sequences = max(1, min(spec.micro_batch_size, int(MOST_FLOPS / _flops(spec, 1) * depth / LAYERS[-1])))
    try:
        one, two = (_measured(_with_layers(spec, layers), sequences) for layers in LAYERS)
    except ValueError:  # a part that needs more layers
        return _measured(spec, 1).scaled(spec.micro_batch_size)
    times = spec.micro_batch_size / sequences

    def whole(name: str) -> float:
        first, second = getattr(one, name), getattr(two, name)
        return max(second, first + (depth - 1) * (second - first)) * (1 if name == "step" else times)

    return Speed(**{name: whole(name) for name in asdict(one)})


def _with_layers(spec: RunSpec, layers: int) -> RunSpec:
    return replace(spec, config={**spec.config, "model": {**spec.config["model"], "n_layers": layers}})


def _measured(spec: RunSpec, sequences: int) -> Speed:
    """Means over steps of one micro-batch each, or of a part of one that takes too long; the rest in proportion."""
    trainer = {**spec.config["trainer"], "compile": False}  # what is compiled once is no part of a step
    module = language_model(replace(spec, config={**spec.config, "trainer": trainer})).train()
    cast(module.gpt, spec.config["precision"])
    recipe = module.configure_optimizers()["optimizer"]
    assert isinstance(recipe, torch.optim.Optimizer)
    tokens = torch.randint(spec.tokens.info.vocab_size, (sequences, module.gpt.dims.seq_len + 1))
    batch = tokens[:1, :-1], tokens[:1, 1:]
    precision = spec.config["precision"]

    def passes() -> None:
        with autocast("cpu", precision):
            loss = module.training_step(batch, 0)
        loss.backward()

    def update() -> None:
        module.configure_gradient_clipping(recipe, spec.config["gradient_clip"])
        recipe.step()
        module.adapt()
        recipe.zero_grad()

    def score() -> None:
        with torch.no_grad(), autocast("cpu", precision):
            module.score(batch)

    score()  # which pays for what is done once
    most = int(MOST_SECONDS / (PASSES * _seconds(score)))
    tried = min(sequences, max(1, most))
    batch = tokens[:tried, :-1], tokens[:tried, 1:]
    found, times = _means(passes, update, score), sequences / tried
    return replace(found, micro_batch=times * found.micro_batch, evaluation=times * found.evaluation)


def _means(*acts: Callable[[], None]) -> Speed:
    rounds: list[list[float]] = []
    while len(rounds) < 3 or sum(map(sum, rounds)) < ENOUGH_SECONDS:
        rounds.append([_seconds(act) for act in acts])
        if sum(rounds[0]) > ENOUGH_SECONDS and len(rounds) == 2:
            break
    warm = rounds[1:]
    return Speed(*(fmean(column) for column in zip(*warm, strict=True)))


def _seconds(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
