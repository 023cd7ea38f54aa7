"""A chart as plain data: drawn once as a static figure and once more in the browser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from algoprog.report.figures.style import Style
from algoprog.report.page.interactive import style_data


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


def json_data(chart: Chart) -> dict[str, Any]:
    """The chart as the page's script reads it."""
    return {
        "stem": chart.stem,
        "x_title": chart.x_title,
        "columns": chart.columns,
        "log_x": chart.log_x,
        "falling_x": chart.falling_x,
        "share_y": chart.share_y,
        "legend": chart.legend,
        "panels": [_panel(panel) for panel in chart.panels],
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "y_title": panel.y_title,
        "ticks": panel.ticks,
        "reference": panel.reference,
        "noise": panel.noise,
        "log_y": panel.log_y,
        "series": [_series(series) for series in panel.series],
    }


def _series(series: Series) -> dict[str, Any]:
    columns = {key: _short(getattr(series, key)) for key in ("x", "y", "low", "high")}
    look = style_data(series.style)
    return {"name": series.name, "kind": series.kind, "hollow": series.hollow, **look, **columns}


def _short(values: Sequence[float | None]) -> list[float | None]:
    """Six digits, finer than a pixel; what is not finite becomes null."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]
