"""Equations 1 and 2 of Sanderson et al., and how a reported gain follows from its raw inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


def compute(flops_per_step: float, steps: float) -> float:
    """Compute of a training run: active FLOPs of a step times steps.

    Source: Sanderson et al. (arXiv 2505.04075), Eq. 1. Any other unit of cost a step stays that unit.

    Raises:
        ValueError: a factor is not a positive number.
    """
    _check(flops_per_step=flops_per_step, steps=steps)
    return flops_per_step * steps


def ceg(baseline: float, variant: float) -> float:
    """Compute-equivalent gain: the baseline's cost over the variant's, at equal performance.

    Source: Sanderson et al. (arXiv 2505.04075), Eq. 2. Whether performance was equal is up to the caller.

    Raises:
        ValueError: a cost is not a positive number.
    """
    _check(baseline=baseline, variant=variant)
    return baseline / variant


def floor_geometric_mean(gains: tuple[float, ...]) -> float:
    """The whole number below the geometric mean, as Table 2 reads forward and backward speed-ups together."""
    _check(**{f"gain {index}": gain for index, gain in enumerate(gains)})
    return float(math.floor(np.exp(np.mean(np.log(gains)))))


def recompute(inputs: Mapping[str, Any]) -> float:
    """The gain that raw inputs of the data files yield, at full precision.

    Raises:
        ValueError: the inputs name no known rule, or hold a number that is not positive.
    """
    if inputs["rule"] == "ratio":
        return ceg(_cost(inputs["baseline"]), _cost(inputs["variant"]))
    if inputs["rule"] == "floor_geometric_mean":
        return floor_geometric_mean(tuple(inputs["speedups"]))
    raise ValueError(f"no rule is called {inputs['rule']!r}: choose ratio or floor_geometric_mean")


def _cost(raw: Mapping[str, float]) -> float:
    """A cost that was reported as a total, or Eq. 1."""
    return raw["total"] if "total" in raw else compute(raw["per_step"], raw["steps"])


def _check(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}: a cost must be a positive number")


@dataclass(frozen=True)
class PrintedGain:
    """A gain as the literature prints it, and its raw inputs (None: they are not known)."""

    quoted: float
    resolution: float  # step between neighbouring values at the quoted precision
    inputs: Mapping[str, Any] | None

    @property
    def recomputed(self) -> float | None:
        """The gain from the raw inputs; None where those are not known."""
        return None if self.inputs is None else recompute(self.inputs)

    @property
    def agrees(self) -> bool | None:
        """Whether recomputed and quoted value are the same at the quoted precision; None if that cannot be told."""
        if self.recomputed is None:
            return None
        return abs(self.recomputed - self.quoted) <= self.resolution / 2 * (1 + 1e-9)
