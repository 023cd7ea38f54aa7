"""A chart drawn as a static figure."""

from __future__ import annotations

import math

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from algoprog.report.figures.chart import Chart, Panel, Series, finite
from algoprog.report.figures.drawing import CROWDED, MOST_NAMED, WIDTH, gain_ticks, line, log_ticks, point, styled
from algoprog.report.figures.style import INK
from algoprog.report.words.naming import printable

_HEIGHTS = {1: 2.5, 2: 2.4, 3: 2.1}  # inches of a panel, by columns


def chart_figure(chart: Chart) -> Figure:
    """All panels of a chart with one legend below them."""
    columns = min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    with styled():
        figure = Figure(figsize=(WIDTH, rows * _HEIGHTS[columns] + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=chart.share_y).ravel()
        for index, (axes, panel) in enumerate(zip(grid, chart.panels, strict=False)):
            _draw_panel(axes, panel, chart)
            if not chart.share_y or index % columns == 0:
                axes.set_ylabel(panel.y_title)
            if index >= len(chart.panels) - columns:
                axes.set_xlabel(chart.x_title)
        for axes in grid[len(chart.panels) :]:
            axes.set_axis_off()
        _limits(list(grid[: len(chart.panels)]), chart)
        if chart.legend:
            _legend(figure, chart)
    return figure


def _draw_panel(axes: Axes, panel: Panel, chart: Chart) -> None:
    axes.set_title(printable(panel.title), color=INK)
    if panel.log_y:
        axes.set_yscale("log")
    if panel.noise:
        axes.axhspan(*panel.noise, color="#8a8f98", alpha=0.18, linewidth=0)
    if panel.reference is not None:
        axes.axhline(panel.reference, color=INK, linewidth=0.9)
    for series in panel.series:
        (_draw_line if series.kind == "line" else _draw_points)(axes, series)
    if chart.log_x:
        axes.set_xscale("log")
        places = finite(x for series in panel.series for x in series.x) or [1.0]
        axes.set_xlim(min(places) / 1.5, max(places) * 1.5)
        log_ticks(axes)
    if chart.falling_x and not axes.xaxis_inverted():
        axes.invert_xaxis()
    if panel.ticks:
        crowded = CROWDED if len(panel.ticks) > MOST_NAMED else {}
        axes.set_xticks([x for x, _ in panel.ticks], [_broken(text) for _, text in panel.ticks], **crowded)
        axes.set_xlim(panel.ticks[0][0] - 0.6, panel.ticks[-1][0] + 0.6)
        axes.grid(visible=False, axis="x")


def _draw_line(axes: Axes, series: Series) -> None:
    y, low, high = ([math.nan if v is None else v for v in values] for values in (series.y, series.low, series.high))
    if low and high:
        axes.fill_between(series.x, low, high, color=series.style.color, alpha=0.16, linewidth=0)
    axes.plot(series.x, y, **line(series.style))


def _draw_points(axes: Axes, series: Series) -> None:
    for x, low, high in zip(series.x, series.low, series.high, strict=False):
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=series.style.color, linewidth=1.3, alpha=0.8)
    y = [math.nan if value is None else value for value in series.y]
    axes.plot(series.x, y, zorder=4, **point(series.style, hollow=series.hollow))


def _limits(grid: list[Axes], chart: Chart) -> None:
    """Numbers on the gains' axes; bands that are very wide may leave the figure, values and their bars may not."""
    every = [_shown(panel) for panel in chart.panels]
    for axes, panel, own in zip(grid, chart.panels, every, strict=True):
        values = [value for shown in every for value in shown] if chart.share_y else own
        if panel.log_y:
            gain_ticks(axes, values)
        else:
            axes.margins(y=0.12)


def _shown(panel: Panel) -> list[float]:
    values = finite(y for series in panel.series for y in series.y)
    bars = finite(v for s in panel.series if s.kind == "points" for v in (*s.low, *s.high))
    low, high = min(values, default=1.0) / 4, max(values, default=1.0) * 4
    return values + [min(max(value, low), high) for value in bars if value > 0]


def _legend(figure: Figure, chart: Chart) -> None:
    handles: dict[str, Artist] = {}
    for series in (series for panel in chart.panels for series in panel.series):
        name = printable(series.name)
        if series.kind == "line":
            handles.setdefault(name, Line2D([], [], label=name, **line(series.style)))
        else:
            handles.setdefault(name, Line2D([], [], label=name, **point(series.style, hollow=series.hollow)))
    if 0 < len(handles) <= MOST_NAMED:
        columns = min(len(handles), 6 if max(map(len, handles)) < 18 else 3)
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=columns, columnspacing=1.4)


def _broken(text: str) -> str:
    """A tick's text over several lines where it is long."""
    text = printable(text)
    return text.replace("+", "+\n") if len(text) > 12 else text
