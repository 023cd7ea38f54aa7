"""The literature beside measured gains, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from algoprog.literature.compare import Comparison, closest
from algoprog.literature.rows import PublishedGain
from algoprog.report.figures.drawing import point, styled
from algoprog.report.figures.style import GRID, INK, Style, styles
from algoprog.report.words.naming import printable, ratio, shorten
from algoprog.runs.record import BASELINE

if TYPE_CHECKING:
    from algoprog.ceg.gains import Gain

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_BAR = "#9aa4af"
_WIDTH = 4.1
"""Inches: so narrow that a phone shows its letters at a size that can be read."""
_LABEL, _SLOT, _STEP, _HEAD = 0.62, 1.5, 0.72, 1.1
"""Lines from a label to its bar, to the next label, between measured gains, and for the name of a table."""
_LINE = 0.235
"""Inches of a line."""
_MEASURED_ALONE = ("field",)
"""Tables whose rows are shown where something was measured beside them: they are many, of many kinds."""
_TITLES = {"sanderson": "Sanderson et al., Table 2", "gundlach": "Gundlach et al.", "field": "Single reports"}


def literature_figure(rows: Sequence[Comparison]) -> Figure:
    """Reported ranges as bars, one an advance and metric type below its label, and the measured gains of its option.

    Filled markers are gains of the same thing over the same thing; hollow ones are not, or are no primary values.
    Measured gains without a reported one are left out.
    """
    slots = _slots(rows)
    lines = sum(_height(gains) for _, gains in slots) + _HEAD * len({row.table for row, _ in slots})
    with styled():
        figure = Figure(figsize=(_WIDTH, lines * _LINE + 1.4), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axvline(1, color=INK, linewidth=0.9)
        _draw(axes, slots)
        _ticks(axes)
        axes.set_xlabel("gain: a ratio of what its label names\n(only equal metrics compare)")
        _legend(figure, any(gains for _, gains in slots))
    return figure


def _slots(rows: Sequence[Comparison]) -> list[tuple[PublishedGain, list[Comparison]]]:
    slots: dict[int, tuple[PublishedGain, list[Comparison]]] = {}
    for comparison in closest(rows):
        if comparison.row is not None:
            _, gains = slots.setdefault(id(comparison.row), (comparison.row, []))
            if comparison.gain is not None and (comparison.gain.ceg or 0) > 0:
                gains.append(comparison)
    return [(row, gains) for row, gains in slots.values() if gains or row.table not in _MEASURED_ALONE]


def _height(gains: Sequence[Comparison]) -> float:
    return _SLOT + _STEP * len(gains)


def _draw(axes: Axes, slots: Sequence[tuple[PublishedGain, list[Comparison]]]) -> None:
    variants = [c.gain.variant for _, gains in slots for c in gains if c.gain]
    looks = styles([BASELINE, *variants], BASELINE)
    models = shorten((c.gain.model for _, gains in slots for c in gains if c.gain), 14)
    y, table = 0.0, ""
    for row, gains in slots:
        if row.table != table:
            y, table = y + _HEAD, row.table
            _label(axes, _TITLES.get(table, table), "", y - _HEAD)
        _label(axes, row.advance, row.metric, y)
        _bar(axes, row, y + _LABEL)
        for index, comparison in enumerate(gains, start=1):
            assert comparison.gain is not None  # as _slots gathered them
            gain = comparison.gain
            hollow = not comparison.comparable or gain.kind != "primary"
            place = y + _LABEL + _STEP * index
            _measured(axes, gain, place, looks[gain.variant], models[gain.model], hollow)
        y += _height(gains)
    axes.set_yticks([])
    axes.set_ylim(y, -0.6)


def _label(axes: Axes, name: str, metric: str, y: float) -> None:
    """An advance and what its gain is a ratio of, above its bar; the name of a table where no metric is."""
    at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
    at["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # so that no line of the grid crosses letters
    axes.annotate(name, (0, y), xytext=(4, 0), fontsize=8.5, weight="normal" if metric else "bold", **at)
    axes.annotate(metric, (1, y), xytext=(-4, 0), fontsize=7.5, ha="right", **at)


def _bar(axes: Axes, row: PublishedGain, y: float) -> None:
    low, high = row.low.quoted, row.high.quoted
    axes.plot([low, high], [y, y], color=_BAR, linewidth=7, solid_capstyle="butt", alpha=0.85)
    axes.plot([low, high], [y, y], marker="|", markersize=9, markeredgewidth=1.6, color=INK, linestyle="none")
    text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    axes.annotate(text, (high, y), (6, 0), textcoords="offset points", va="center", fontsize=7.5)


def _measured(axes: Axes, gain: Gain, y: float, style: Style, model: str, hollow: bool) -> None:
    """One measured gain with its interval; a bound points the way the gain may lie."""
    value = gain.ceg or 1.0  # None was left out before
    if gain.kind == "bound":
        end = value * (0.86 if gain.ci_low is None else 1.16)
        axes.annotate("", (end, y), (value, y), arrowprops={"arrowstyle": "->", "color": style.color})
    right = value
    if gain.ci_low is not None and gain.ci_high is not None:
        axes.plot([gain.ci_low, gain.ci_high], [y, y], color=style.color, linewidth=1.3, alpha=0.8)
        right = gain.ci_high
    axes.plot([value], [y], zorder=4, **point(style, hollow=hollow, size=6))
    text = f"{printable(gain.variant)} {ratio(value)} ({printable(model)}, {gain.cost})"
    axes.annotate(text, (right, y), (6, 0), textcoords="offset points", va="center", fontsize=7.5, color=style.color)


def _ticks(axes: Axes) -> None:
    low, high = axes.get_xlim()
    low, high = min(low, 0.8), max(high * 1.9, 2.5)  # room for the text beside the widest bar
    axes.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color=GRID, axis="x")


def _legend(figure: Figure, measured: bool) -> None:
    style = Style(INK, (), "o")
    handles: list[Patch | Line2D] = [Patch(color=_BAR, label="literature (bar or tick)")]
    if measured:
        handles += [
            Line2D([], [], **point(style), label="measured, same metric"),
            Line2D(
                [], [], **point(style, hollow=True), label="measured, but another metric\nor reference, or not primary"
            ),
        ]
    figure.legend(handles=handles, loc="outside lower center", handlelength=1.6)
