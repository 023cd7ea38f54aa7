"""Validation loss of every variant of a model, by steps and by FLOPs."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import tokenizer_of
from algoprog.report.figures.curves import Band, band, broken
from algoprog.report.figures.drawing import WIDTH, legend, line, log_ticks, point, styled
from algoprog.report.figures.style import INK, Style
from algoprog.report.summary import Arm, Group
from algoprog.report.words.naming import loss, printable, scientific

_DECADES = 60.0  # the FLOPs panel shows costs from the end down to this fraction


def loss_figure(group: Group, styles: dict[str, Style]) -> Figure:
    """Loss against steps (linear, as in the paper) and training FLOPs (logarithmic: a gain is a distance).

    Curves from elsewhere may know neither: then another cost that all of them know stands in.
    """
    with styled():
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        bands = {arm.variant: found for arm in group.arms if (found := band(arm))}
        across, along = _costs(list(bands.values()), group)
        for axes, cost in ((left, across), (right, along)):
            for arm in group.arms:
                _draw_arm(axes, arm, bands.get(arm.variant), styles[arm.variant], cost, group.target)
        _scale(left, right, list(bands.values()), across, along)
        _draw_target(left, right, group.target)
        left.set(xlabel=COSTS[across].title, ylabel=f"validation loss ({group.metric.unit})")
        right.set_xlabel(COSTS[along].title)
        figure.suptitle(printable(group.label), fontsize=10, color=INK)
        shown = {arm.variant: styles[arm.variant] for arm in group.arms if bands.get(arm.variant) or broken(arm)}
        legend(figure, shown, markers=False)
    return figure


def _costs(bands: list[Band], group: Group) -> tuple[str, str]:
    """The cost axes of the linear and of the logarithmic side; of different tokenizers none that counts tokens."""
    mixed = len({tokenizer_of(run.record) for run in group.runs}) > 1
    axes = [cost for cost, about in COSTS.items() if not (mixed and about.counts_tokens)]
    known = [cost for cost in axes if all(cost in band.costs for band in bands)]
    return "steps" if "steps" in known else known[0], known[0]


def _draw_arm(axes: Axes, arm: Arm, found: Band | None, style: Style, cost: str, target: float | None) -> None:
    for part in (part for part in broken(arm) if cost in part.costs):
        axes.plot(part.costs[cost], part.loss, color=style.color, linewidth=0.8, alpha=0.8)
        axes.plot(part.costs[cost][-1:], part.loss[-1:], marker="x", color=style.color, markersize=6)
    if found is None:
        return
    x = found.costs[cost]
    if found.n_seeds > 1:
        axes.fill_between(x, found.low, found.high, color=style.color, alpha=0.16, linewidth=0)
    axes.plot(x, found.mean, **line(style))
    if target is None:
        return
    crossing = found.crossing(cost, target)
    if crossing is not None:
        axes.plot([crossing], [target], zorder=5, **point(style, size=6.5))


def _scale(left: Axes, right: Axes, bands: list[Band], across: str, along: str) -> None:
    """Show the last costs on the logarithmic side, and the losses that lie there."""
    left.xaxis.set_major_formatter(FuncFormatter(lambda x, _: whole(x)))
    right.set_xscale("log")
    if not bands:
        return
    ends = {cost: max(float(b.costs[cost][-1]) for b in bands) for cost in (across, along)}
    left.set_xlim(0, ends[across] * 1.02)
    right.set_xlim(ends[along] / _DECADES, ends[along] * 1.15)
    seen = [b.mean[b.costs[along] >= min(ends[along] / _DECADES, b.costs[along][-1])] for b in bands]
    low, high = min(float(v.min()) for v in seen), max(float(v.max()) for v in seen)
    margin = 0.06 * (high - low) or 0.1
    left.set_ylim(low - margin, high + margin)
    log_ticks(right)


def whole(cost: float) -> str:
    """A cost as the linear side has room for it: steps with every digit, FLOPs as a power of ten."""
    return f"{cost:,.0f}" if cost < 1e7 else scientific(cost)


def _draw_target(left: Axes, right: Axes, target: float | None) -> None:
    if target is None:
        return
    for axes in (left, right):
        axes.axhline(target, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    place: dict[str, Any] = {
        "xycoords": right.get_yaxis_transform(),
        "textcoords": "offset points",
        "fontsize": 7.5,
        "va": "bottom",
    }
    right.annotate(f"target {loss(target)}", (0, target), (3, 2), **place)
