"""What all figures share: settings, files, ticks, legend.

Files are printed by the canvas itself: `savefig` would draw every figure twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from algoprog.report.figures.style import RC, Style
from algoprog.report.words.naming import printable, scientific, shorten

WIDTH = 7.2
"""Width of a figure in inches: the text width of a page."""

MOST_NAMED = 24
"""Variants that a legend names: more leave no room for the lines, which the page names one by one."""

CROWDED: dict[str, Any] = {"rotation": 90, "fontsize": 5}
"""How names stand below the axis where there are many."""

_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 10, 20, 50, 100, 200, 500, 1000)


@contextmanager
def styled() -> Iterator[None]:
    """Our settings, and no complaint about a name in a script that the font lacks."""
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def to_svg(figure: Figure) -> str:
    """The figure as SVG with letters as text, the same bytes every time."""
    target = BytesIO()
    empty = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with styled():
        # matplotlib has no types for its canvases.
        FigureCanvasSVG(figure).print_svg(target, metadata=empty)  # type: ignore[no-untyped-call]
    return target.getvalue().decode("utf-8")


def to_png(figure: Figure) -> bytes:
    """The figure as PNG at print resolution."""
    target = BytesIO()
    with styled():
        figure.set_dpi(RC["savefig.dpi"])
        # matplotlib has no types for its canvases.
        FigureCanvasAgg(figure).print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]
        figure.set_dpi(RC["figure.dpi"])
    return target.getvalue()


def display_names(variants: Iterable[str]) -> dict[str, str]:
    """Names short enough for a legend."""
    return {name: printable(short) for name, short in shorten(variants, 26).items()}


def line(style: Style) -> dict[str, Any]:
    """Colour and dash of a variant's line."""
    return {"color": style.color, "linestyle": (0, style.dash) if style.dash else "-"}


def point(style: Style, *, hollow: bool = False, size: float = 6) -> dict[str, Any]:
    """A variant's marker; hollow for values that are not primary."""
    face = "white" if hollow else style.color
    edge = style.color if hollow else "white"
    look = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 1.2 if hollow else 0.5}
    size *= 1.3 if style.marker in "PX" else 1.0
    return {"marker": style.marker, "markersize": size, "linestyle": "none", "color": style.color, **look}


def log_ticks(axes: Axes) -> None:
    """Powers of ten on the x axis, with numbers between where it spans little."""
    low, high = axes.get_xlim()
    subs = (1.0,) if high / low > 300 else (1.0, 3.0) if high / low > 20 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: scientific(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def gain_ticks(axes: Axes, values: Iterable[float]) -> None:
    """Plain numbers on a logarithmic axis of gains that holds the values and, in any case, 1."""
    values = [value for value in values if value > 0]
    low, high = min([*values, 0.87]) * 0.92, max([*values, 1.15]) * 1.08
    axes.set_ylim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    step = len(ticks) // 9 + 1  # few enough to be read
    ticks = [tick for tick in ticks if tick == 1 or (_TICKS.index(tick) - _TICKS.index(1)) % step == 0]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def legend(figure: Figure, styles: dict[str, Style], *, markers: bool) -> None:
    """One legend below the panels: line and marker of every variant."""
    names = display_names(styles)
    handles: list[Artist] = [
        Line2D([], [], **{**(point(style) if markers else {}), **line(style)}, label=names[name])
        for name, style in styles.items()
    ]
    if 0 < len(handles) <= MOST_NAMED:
        columns = min(len(handles), 7 if max(map(len, names.values())) < 14 else 3)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=2.2, columnspacing=1.4)
