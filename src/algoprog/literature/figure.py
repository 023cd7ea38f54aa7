"""The literature beside measured gains, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from algoprog.literature.compare import Comparison, closest
from algoprog.literature.rows import PublishedGain
from algoprog.report.figures.drawing import WIDTH, point, styled
from algoprog.report.figures.style import GRID, INK, Style, styles
from algoprog.report.words.naming import printable, ratio, shorten
from algoprog.runs.record import BASELINE

if TYPE_CHECKING:
    from algoprog.ceg.gains import Gain

_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_BAR, _STEP = "#9aa4af", 0.62
_TITLES = {"sanderson": "Sanderson et al., Table 2", "gundlach": "Gundlach et al."}


def literature_figure(rows: Sequence[Comparison]) -> Figure:
    """Reported ranges as bars, one an advance and metric type, and the measured gains of its option below.

    Filled markers are gains of the same thing over the same thing; hollow ones are not, or are no primary values.
    Measured gains without a reported one are left out.
    """
    slots = _slots(rows)
    height = sum(_height(gains) for _, gains in slots) * 0.23 + 1.4
    with styled():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axvline(1, color=INK, linewidth=0.9)
        _draw(axes, slots)
        _ticks(axes)
        axes.set_xlabel("gain (ratio of what the label names; only equal metrics compare)")
        _legend(figure, any(gains for _, gains in slots))
    return figure


def _slots(rows: Sequence[Comparison]) -> list[tuple[PublishedGain, list[Comparison]]]:
    slots: dict[int, tuple[PublishedGain, list[Comparison]]] = {}
    for comparison in closest(rows):
        if comparison.row is not None:
            _, gains = slots.setdefault(id(comparison.row), (comparison.row, []))
            if comparison.gain is not None and (comparison.gain.ceg or 0) > 0:
                gains.append(comparison)
    return list(slots.values())


def _height(gains: Sequence[Comparison]) -> float:
    return 1.45 + _STEP * len(gains)


def _draw(axes: Axes, slots: Sequence[tuple[PublishedGain, list[Comparison]]]) -> None:
    variants = [c.gain.variant for _, gains in slots for c in gains if c.gain]
    looks = styles([BASELINE, *variants], BASELINE)
    models = shorten((c.gain.model for _, gains in slots for c in gains if c.gain), 14)
    places, labels, y, table = [], [], 0.0, ""
    for row, gains in slots:
        if row.table != table:
            y, table = y + (1.1 if table else 0.3), row.table
            _title(axes, _TITLES.get(table, table), y - 0.9)
        _bar(axes, row, y)
        for index, comparison in enumerate(gains, start=1):
            assert comparison.gain is not None  # as _slots gathered them
            gain = comparison.gain
            hollow = not comparison.comparable or gain.kind != "primary"
            _measured(axes, gain, y + _STEP * index, looks[gain.variant], models[gain.model], hollow)
        places.append(y)
        labels.append(f"{row.advance}\n{row.metric}")
        y += _height(gains)
    axes.set_yticks(places, labels, fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(y - 0.4, -1.2)


def _title(axes: Axes, text: str, y: float) -> None:
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8.5,
        weight="bold",
    )


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
    axes.annotate(text, (right, y), (6, 0), textcoords="offset points", va="center", fontsize=7, color=style.color)


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
            Line2D([], [], **point(style, hollow=True), label="measured, another metric or reference, or not primary"),
        ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1.6)
