"""How long a sweep takes from its command line to its report: what goes on around training, runs beside each other."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from omegaconf import DictConfig

from algoprog.run.spec import RunSpec
from algoprog.sweep.plan.pace import Pace, micro_batches

START = 22.0
"""From the command line to the first run, in times that composing one configuration takes: imports above all."""

RUN = 4.0
"""Around every run, in the same unit: its process, configuration, model and record."""

ANALYSIS = 17.0
"""For gains, figures and report, in the same unit."""

STEP = 0.008
"""For what Lightning and the callbacks do around one micro-batch, in the same unit."""

FURTHER_SHARE = 0.5
"""Of a search's possible first trial beyond its grid, how much is expected: half of the best lie at an edge."""


@dataclass(frozen=True)
class Machine:
    """What a sweep has, and how quick it is at what is no training."""

    at_once: int  # runs
    composing: float  # seconds that one configuration takes, warm

    def run(self, training: float, micro_batches: int) -> float:
        """Seconds that a run occupies its share of the machine."""
        return training + self.composing * (RUN + STEP * micro_batches)

    def phase(self, runs: Sequence[float]) -> float:
        """Seconds until the last of these runs has ended, each begun when a share is free."""
        free = [0.0] * min(self.at_once, len(runs))
        for seconds in runs:
            heapq.heapreplace(free, free[0] + seconds)
        return max(free, default=0.0)

    def sweep(self, phases: Sequence[Sequence[float]]) -> float:
        """Seconds of a whole sweep: one phase after the other, its start and its analysis."""
        return self.composing * (START + ANALYSIS) + sum(map(self.phase, phases))


def composing(config: DictConfig, loader: ConfigLoader) -> float:
    """Seconds that one configuration takes once Hydra is warm: how quick this machine is at what is no training."""
    began = time.perf_counter()
    loader.load_configuration("config", list(config.hydra.overrides.task), run_mode=RunMode.MULTIRUN)
    return time.perf_counter() - began


def wall_seconds(
    phases: Sequence[Sequence[RunSpec]], pace: Pace, machine: Machine, faster: Mapping[str, float]
) -> float | None:
    """Seconds from the command line to the report; None where a run's are not known.

    Args:
        phases: the runs of each, one phase after the other.
        pace: of runs that train alone.
        machine: that trains them.
        faster: how many times as fast members train, by the names of the runs.
    """
    found = [[(spec, pace.expected(spec)) for spec in phase] for phase in phases]
    if any(known is None for phase in found for _, known in phase):
        return None

    def seconds(spec: RunSpec, alone: float) -> float:
        return machine.run(alone / faster.get(spec.name, 1.0), micro_batches(spec))

    return machine.sweep([[seconds(spec, known.seconds) for spec, known in phase if known] for phase in found])
