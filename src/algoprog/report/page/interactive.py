"""What the page's charts are drawn from in the browser: plain data, and the plotting library to unpack."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from algoprog.ceg.cost import COSTS
from algoprog.report.figures.chart import Chart, Panel, Series
from algoprog.report.figures.curves import Band, band, broken
from algoprog.report.figures.style import INK, Style
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group
from algoprog.report.words.naming import scientific

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "P": "cross",
    "X": "x",
    "*": "star",
    "h": "hexagon",
    "p": "pentagon",
    "d": "diamond-tall",
    "8": "octagon",
}


def plotting_library() -> str:
    """plotly.js, gzipped, in base64: 2 MB in place of 4.8, not parsed before the page is readable."""
    # plotly ships no types.
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    packed = gzip.compress(get_plotlyjs().encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def chart_data(
    groups: Sequence[Group], styles: dict[str, Style], *, cost: str, costs: Mapping[str, str]
) -> dict[str, Any]:
    """Everything the charts show, as JSON can hold it; an empty colour stands for the text's colour."""
    return {
        "costs": dict(costs),
        "cost": cost,
        "styles": {name: style_data(style) for name, style in styles.items()},
        "losses": [_losses(group) for group in groups],
        "gains": [_gains(group) for group in groups],
    }


def style_data(style: Style) -> dict[str, Any]:
    """A style in the words of the plotting library; no colour stands for the text's colour."""
    color = "" if style.color == INK else style.color
    dash = ",".join(f"{2 * length:g}px" for length in style.dash) or "solid"
    return {"color": color, "dash": dash, "symbol": _SYMBOLS[style.marker]}


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


def _losses(group: Group) -> dict[str, Any]:
    return {
        "label": group.label,
        "target": group.target,
        "unit": group.metric.unit,
        "short": group.metric.short,
        "arms": [_arm(arm, group.target) for arm in group.arms],
    }


def _arm(arm: Arm, target: float | None) -> dict[str, Any]:
    found = band(arm)
    parts = [{"costs": _costs(part.costs), "loss": _short(part.loss)} for part in broken(arm)]
    return {"variant": arm.variant, "band": _band(found, target) if found else None, "broken": parts}


def _band(found: Band, target: float | None) -> dict[str, Any]:
    crossing = {cost: found.crossing(cost, target) for cost in found.costs} if target is not None else {}
    lines = {"mean": _short(found.mean), "low": _short(found.low), "high": _short(found.high)}
    return {"costs": _costs(found.costs), "n": found.n_seeds, "crossing": crossing, **lines}


def _costs(costs: dict[str, NDArray[np.float64]]) -> dict[str, list[float | None]]:
    return {cost: _short(values) for cost, values in costs.items()}


def _gains(group: Group) -> dict[str, Any]:
    points = []
    for arm in group.arms:
        for cost in COSTS:
            gain = arm.gain(SHOWN_ESTIMATORS[0], cost)
            if arm.variant != group.baseline and gain is not None and gain.ceg is not None:
                values = {"ceg": gain.ceg, "low": gain.ci_low, "high": gain.ci_high, "kind": gain.kind}
                points.append({"variant": arm.variant, "cost": cost, **values})
    text = scientific(group.compute)
    return {"label": group.label, "compute": group.compute, "compute_text": text, "points": points}


def _short(values: Iterable[float | None]) -> list[float | None]:
    """Six digits, finer than a pixel; what is not finite becomes null."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]
