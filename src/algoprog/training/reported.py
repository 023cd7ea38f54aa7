"""What parts report while training, put together over micro-batches, steps and devices."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from algoprog.model.interface.reports import Reduction, Reports, Statistic

TOGETHER = {"sum": torch.distributed.ReduceOp.SUM, "max": torch.distributed.ReduceOp.MAX}


class Totals:
    """Reports of many forward passes, each statistic by its own reduction.

    Args:
        statistics: what may be reported, by key.
    """

    def __init__(self, statistics: Mapping[str, Statistic]) -> None:
        self.statistics = statistics
        self.values: dict[str, Tensor] = {}
        self.passes = 0

    def add(self, reports: Reports) -> None:
        """Take up one pass.

        Raises:
            AssertionError: what is reported is not what was declared.
        """
        assert reports.statistics.keys() == self.statistics.keys(), "every declared statistic is reported in every pass"
        self.passes += 1
        for key, value in reports.statistics.items():
            statistic = self.statistics[key]
            assert tuple(value.shape) == statistic.shape, key
            wide = value.double()
            self.values[key] = _joined(self.values[key], wide, statistic.reduction) if key in self.values else wide

    def together(self) -> dict[str, Tensor]:
        """What came together over all devices, of which each must ask; nothing before the first pass."""
        return {key: self._reduced(key, value) for key, value in self.values.items()}

    def reset(self) -> None:
        """Forget."""
        self.values, self.passes = {}, 0

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"values": {key: value.cpu() for key, value in self.values.items()}, "passes": self.passes}

    def restore(self, state: Mapping[str, object], device: torch.device) -> None:
        """Go on from a checkpoint."""
        values, passes = state["values"], state["passes"]
        assert isinstance(values, dict)
        assert isinstance(passes, int)
        self.values, self.passes = {key: value.to(device) for key, value in values.items()}, passes

    def _reduced(self, key: str, value: Tensor) -> Tensor:
        reduction = self.statistics[key].reduction
        if not torch.distributed.is_initialized():
            return value / self.passes if reduction == "mean" else value
        value = value / self.passes if reduction == "mean" else value.clone()
        torch.distributed.all_reduce(value, op=TOGETHER["max" if reduction == "max" else "sum"])
        return value / torch.distributed.get_world_size() if reduction == "mean" else value


def _joined(before: Tensor, value: Tensor, reduction: Reduction) -> Tensor:
    return torch.maximum(before, value) if reduction == "max" else before + value


def by_layer(statistics: Mapping[str, Statistic], values: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """The numbers to write down of every statistic, by its key; NaN where nothing was reported."""
    return {
        key: dict(
            statistic.summary(values[key].cpu()) if key in values else dict.fromkeys(statistic.columns(), math.nan)
        )
        for key, statistic in statistics.items()
    }


def columns(numbers: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Those numbers as a curve holds them: of one name, the mean over the layers."""
    found: dict[str, list[float]] = {}
    for summary in numbers.values():
        for name, value in summary.items():
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in sorted(found.items())}
