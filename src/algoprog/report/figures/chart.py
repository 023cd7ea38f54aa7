"""A chart as plain data: drawn once as a static figure and once more in the browser."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from algoprog.report.figures.style import Style


@dataclass(frozen=True)
class Series:
    """Values with optional intervals: `line` with a band, or `points` with bars; None leaves a gap."""

    name: str
    style: Style
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    kind: Literal["line", "points"] = "points"
    hollow: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `reference` is a horizontal line, `noise` a shaded range of y."""

    title: str
    series: tuple[Series, ...]
    y_title: str
    ticks: tuple[tuple[float, str], ...] = ()  # places and texts on x; empty: numbers
    reference: float | None = None
    noise: tuple[float, float] | None = None
    log_y: bool = True


@dataclass(frozen=True)
class Chart:
    """Panels that share a legend; `stem` names its files."""

    stem: str
    label: str
    x_title: str
    panels: tuple[Panel, ...]
    columns: int = 1
    log_x: bool = False
    falling_x: bool = False
    share_y: bool = False
    legend: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is no value to draw."""
        return not any(finite(series.y) for panel in self.panels for series in panel.series)


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]
