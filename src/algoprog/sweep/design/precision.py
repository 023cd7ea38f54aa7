"""`precision=auto` of a sweep: decided once for all of its runs, which are compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from algoprog.config import AUTO
from algoprog.overrides import parse, subject
from algoprog.run.precision import Decision, decide
from algoprog.sweep.design.compare import Words

KEY = "precision"
ELSEWHERE = ("slurm", "ray")
"""Launchers that train on machines which nobody can ask from here."""


def settled(
    jobs: Sequence[Words], config: DictConfig, resolved: Callable[[Words], dict[str, Any]]
) -> tuple[list[Words], Decision | None]:
    """The words of all runs with what `auto` stands for, and the decision; None where nothing says `auto`.

    Args:
        jobs: the words of every run.
        config: of the sweep.
        resolved: the configuration of a run's words.

    Raises:
        ValueError: `auto` stands beside another precision, or the runs are trained on other machines.
    """
    typed = [[word for word in parse(list(job)) if subject(word) == KEY] for job in jobs]
    asked = {str(words[-1].value()) if words else str(config.precision) for words in typed}
    if AUTO not in asked:
        return [list(job) for job in jobs], None
    if len(asked) > 1:
        raise ValueError(
            f"{KEY}=auto decides by itself what is not compared: compare {KEY}=32,bf16-mixed, or say auto alone"
        )
    launcher = str(config.hydra.runtime.choices["hydra/launcher"])
    if launcher in ELSEWHERE:
        raise ValueError(
            f"{KEY}=auto asks this machine, and hydra/launcher={launcher} trains on others: type {KEY}=32 or bf16-mixed"
        )
    plain = [[text for text, word in zip(job, parse(list(job)), strict=True) if subject(word) != KEY] for job in jobs]
    models = {repr(found["model"]): found for found in map(resolved, plain)}
    decision = decide(list(models.values()), Path(config.hydra.sweep.dir))
    return [[*words, f"{KEY}={decision.precision}"] for words in plain], decision
