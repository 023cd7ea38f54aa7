"""How figures look: one colour, dash and marker a variant, legible on white, on black and without colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from algoprog.report.words.naming import order_variants

INK, GRID = "#24292f", "#d0d7de"
"""Text and grid; the page replaces them by its own colours, so that figures follow light and dark."""


@dataclass(frozen=True)
class Style:
    """Colour (hex), dash in points (empty: solid) and matplotlib marker of a variant."""

    color: str
    dash: tuple[float, ...]
    marker: str


_BASELINE = Style(INK, (), "o")
_PAPER = {  # Okabe and Ito's palette
    "mqa": Style("#cc79a7", (), "v"),
    "sparse": Style("#e69f00", (), "s"),
    "flash": Style("#56b4e9", (4.0, 1.6), "D"),
    "ln": Style("#009e73", (), "^"),
    "rope": Style("#0a7cc4", (), "P"),
    "ln+rope+flash": Style("#d55e00", (), "X"),
}
_COLORS = ("#a5673f", "#8f7fd6", "#7f8c2b", "#b8476b", "#3a9aa8", "#8a8f98")
_DASHES: tuple[tuple[float, ...], ...] = ((), (4.0, 1.6), (1.2, 1.4), (6.0, 1.6, 1.2, 1.6))
_MARKERS = "<>*hpd8"


def styles(variants: Iterable[str], baseline: str) -> dict[str, Style]:
    """A style for each variant: the paper's arms always look the same, others by their place in the order."""
    result = {}
    others = [name for name in order_variants(variants) if name not in _PAPER and name != baseline]
    for name in order_variants(variants):
        if name == baseline:
            result[name] = _BASELINE
        elif name in _PAPER:
            result[name] = _PAPER[name]
        else:
            i = others.index(name)
            dash = _DASHES[(i // len(_COLORS)) % len(_DASHES)]
            result[name] = Style(_COLORS[i % len(_COLORS)], dash, _MARKERS[i % len(_MARKERS)])
    return result


RC: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 220,
    "svg.fonttype": "none",  # letters stay text
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a variant's name may hold a dollar sign
    "axes.formatter.use_mathtext": False,
    "svg.hashsalt": "algoprog",
}
"""Settings of matplotlib for every figure; nothing of the user's own matplotlibrc is left to chance."""
