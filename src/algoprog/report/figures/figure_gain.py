"""Gains of all variants against training compute."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from algoprog.ceg.cost import COSTS
from algoprog.ceg.gains import Gain
from algoprog.report.figures.drawing import (
    CROWDED,
    MOST_NAMED,
    WIDTH,
    display_names,
    gain_ticks,
    legend,
    line,
    point,
    styled,
)
from algoprog.report.figures.style import INK, Style
from algoprog.report.summary import SHOWN_ESTIMATORS, Group
from algoprog.report.words.naming import printable, scientific
from algoprog.report.words.words import bound_sign


def gain_figure(groups: Sequence[Group], styles: dict[str, Style], cost: str) -> Figure:
    """Gains at one cost axis with intervals: by training compute, or one model's side by side."""
    baselines = {group.baseline for group in groups}
    shown = {name: style for name, style in styles.items() if name not in baselines and _found(groups, name, cost)}
    with styled():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        axes.axhline(1, color=INK, linewidth=0.9)
        if len(groups) == 1:
            _draw_single(axes, groups[0], shown, cost)
        else:
            _draw_ladder(axes, groups, shown, cost)
            legend(figure, shown, markers=True)
        axes.set_ylabel(f"CEG in {COSTS[cost].title}")
        gain_ticks(axes, axes.get_ylim())
    return figure


def _draw_single(axes: Axes, group: Group, styles: dict[str, Style], cost: str) -> None:
    for x, (name, style) in enumerate(styles.items()):
        _draw_points(axes, [(x, gain) for gain in _found([group], name, cost).values()], style)
    names = [name.replace("+", "+\n", 1) if len(name) > 12 else name for name in display_names(styles).values()]
    axes.set_xticks(range(len(styles)), names, **(CROWDED if len(styles) > MOST_NAMED else {}))
    axes.set_xlim(-0.6, max(len(styles), 1) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(f"{printable(group.label)}, {scientific(group.compute)} training FLOPs of the baseline")


def _draw_ladder(axes: Axes, groups: Sequence[Group], styles: dict[str, Style], cost: str) -> None:
    places = [group.compute or 10.0**index for index, group in enumerate(groups)]
    axes.set_xscale("log")
    for index, (name, style) in enumerate(styles.items()):
        shift = 1 + 0.05 * (index - (len(styles) - 1) / 2)
        found = _found(groups, name, cost)
        points = [(places[i] * shift, gain) for i, gain in found.items()]
        values = [gain.ceg or 1.0 for _, gain in points]
        axes.plot([x for x, _ in points], values, linewidth=1.2, **line(style))
        _draw_points(axes, points, style)
    axes.set_xlim(min(places, default=1) / 1.6, max(places, default=1) * 1.6)
    labels = [f"{printable(g.label)}\n{scientific(x)}" for g, x in zip(groups, places, strict=True)]
    axes.set_xticks(places, labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training FLOPs of the baseline")


def _draw_points(axes: Axes, points: Sequence[tuple[float, Gain]], style: Style) -> None:
    """Filled: primary; hollow: auxiliary; an arrow away from the value: a bound."""
    for x, gain in points:
        y = gain.ceg or 1.0  # None was left out before
        if gain.kind == "bound":
            end = y * (0.88 if bound_sign(gain) == "<" else 1.14)
            axes.annotate("", (x, end), (x, y), arrowprops={"arrowstyle": "->", "color": style.color})
        if gain.ci_low is not None and gain.ci_high is not None:
            axes.plot([x, x], [gain.ci_low, gain.ci_high], color=style.color, linewidth=1.3, alpha=0.8)
        axes.plot([x], [y], zorder=4, **point(style, hollow=gain.kind != "primary", size=6.5))


def _found(groups: Sequence[Group], variant: str, cost: str) -> dict[int, Gain]:
    """The gains that can be drawn, by the place of their group."""
    result = {}
    for index, group in enumerate(groups):
        arm = group.arm(variant)
        gain = arm.gain(SHOWN_ESTIMATORS[0], cost) if arm else None
        if gain is not None and gain.ceg is not None and gain.ceg > 0:
            result[index] = gain
    return result
