"""`choices.json`: what the searches of a sweep's folder chose. An entry that is there is never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from algoprog.runs.record import CHOICES_FILE
from algoprog.runs.store import write_atomic


@dataclass(frozen=True)
class TrialRun:
    """One run of a trial; a trial has one a seed."""

    values: Mapping[str, float]  # of the settings that are searched
    loss: float | None  # final validation loss in nats; None: it failed or diverged, no vote
    run: str  # its folder


@dataclass(frozen=True)
class Choice:
    """What a search chose."""

    search: str  # identity of the search
    model: str
    variant: str
    values: Mapping[str, float]  # chosen; empty where every trial failed
    trials: tuple[TrialRun, ...]
    edge: bool  # the best trial lies at an edge of the grid, and tune.max_trials ended the search
    seed: int  # of the trials, the first where they have several
    flops: float  # that the trials trained


Choices = dict[str, Choice]
"""Choices by the identity of their search."""


def read_choices(folder: Path) -> Choices:
    """What was chosen in a sweep's folder so far.

    Raises:
        ValueError: the file is damaged, naming the remedy.
    """
    path = folder / CHOICES_FILE
    if not path.exists():
        return {}
    try:
        found = [_choice(raw) for raw in json.loads(path.read_text(encoding="utf-8"))]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): delete it, the same command chooses again from the trials that are there"
        ) from error
    return {choice.search: choice for choice in found}


def write_choices(folder: Path, choices: Choices) -> None:
    """Rename the file into place; the entries that are there already stay as and where they are."""
    before = read_choices(folder)
    kept = {**before, **{name: choice for name, choice in choices.items() if name not in before}}
    write_atomic(folder / CHOICES_FILE, json.dumps([asdict(choice) for choice in kept.values()], indent=2) + "\n")


def _choice(raw: Mapping[str, Any]) -> Choice:
    trials = tuple(TrialRun(dict(trial["values"]), trial["loss"], str(trial["run"])) for trial in raw["trials"])
    values = {str(key): float(value) for key, value in raw["values"].items()}
    return Choice(**{**raw, "values": values, "trials": trials})
