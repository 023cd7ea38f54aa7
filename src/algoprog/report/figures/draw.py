"""All figures of a report, and their files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from algoprog.report.figures.chart import Chart
from algoprog.report.figures.drawing import to_png, to_svg
from algoprog.report.figures.figure_chart import chart_figure
from algoprog.report.figures.figure_gain import gain_figure
from algoprog.report.figures.figure_loss import loss_figure
from algoprog.report.figures.style import Style
from algoprog.report.summary import Group
from algoprog.runs.store import write_atomic


@dataclass(frozen=True)
class Drawn:
    """One figure as files and page need it."""

    stem: str
    svg: str
    png: bytes


def draw_figures(
    groups: Sequence[Group], styles: dict[str, Style], *, costs: Iterable[str], others: Mapping[str, Chart | Figure]
) -> list[Drawn]:
    """Loss curves of every group that has runs, the gains at every cost axis, then others by their stems."""
    figures = {f"loss-{stem}": loss_figure(g, styles) for stem, g in stems(groups).items() if g.known}
    figures |= {f"gain-{cost}": gain_figure(groups, styles, cost) for cost in costs}
    figures |= {stem: chart_figure(other) if isinstance(other, Chart) else other for stem, other in others.items()}
    return [_draw(stem, figure) for stem, figure in figures.items()]


def _draw(stem: str, figure: Figure) -> Drawn:
    png = to_png(figure)
    figure.set_layout_engine("none")  # laid out once: both files agree, and it costs less
    return Drawn(stem, to_svg(figure), png)


def write_figures(folder: Path, figures: Sequence[Drawn]) -> list[Path]:
    """Write every figure as SVG and PNG."""
    paths = []
    for figure in figures:
        write_atomic(folder / f"{figure.stem}.svg", figure.svg)
        png = folder / f"{figure.stem}.png"
        temporary = png.with_suffix(".png.tmp")
        temporary.write_bytes(figure.png)
        temporary.replace(png)
        paths += [folder / f"{figure.stem}.svg", png]
    return paths


def stems(groups: Sequence[Group]) -> dict[str, Group]:
    """A distinct file name for each group."""
    result: dict[str, Group] = {}
    for group in groups:
        stem = re.sub(r"[^A-Za-z0-9.=_+-]+", "_", group.label).strip("_.")[:60] or "model"
        number = 2
        while (unique := stem if number == 2 and stem not in result else f"{stem}-{number}") in result:
            number += 1
        result[unique] = group
    return result
