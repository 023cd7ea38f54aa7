"""A section of the page as plain data; the template escapes every text in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from matplotlib.figure import Figure

from algoprog.report.figures.chart import Chart


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; `words` where cells hold text rather than numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


@dataclass(frozen=True)
class Section:
    """Title, paragraphs, then a chart (static, and live in the browser) or a narrow figure (static), then a table."""

    title: str
    prose: tuple[str, ...] = ()
    chart: Chart | None = None
    figure: Figure | None = None
    table: Table | None = None

    @property
    def drawing(self) -> Chart | Figure | None:
        """What is to be drawn for its files."""
        return self.chart or self.figure

    @property
    def stem(self) -> str:
        """The section's place in the page and the name of its figure's files."""
        if self.chart is not None:
            return self.chart.stem
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"
