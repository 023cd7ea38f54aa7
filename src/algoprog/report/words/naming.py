"""Names and numbers as a reader should see them: the order of variants, short names, units."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, TypeVar

PAPER_ORDER = ("mqa", "sparse", "none", "flash", "ln", "rope", "ln+rope+flash")
"""The arms of Table 3 in the order of the paper."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def order_variants(names: Iterable[str]) -> list[str]:
    """Distinct variants: the paper's arms first, in the paper's order, then the others by name."""
    rank = {name: index for index, name in enumerate(PAPER_ORDER)}
    return sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name))


class OfVariant(Protocol):
    """Anything that belongs to one variant."""

    @property
    def variant(self) -> str:
        """Its name."""
        ...


V = TypeVar("V", bound=OfVariant)


def in_order(rows: Iterable[V]) -> list[V]:
    """Rows in the order of their variants."""
    rows = list(rows)
    rank = {name: index for index, name in enumerate(order_variants(row.variant for row in rows))}
    return sorted(rows, key=lambda row: rank[row.variant])


def shorten(names: Iterable[str], width: int) -> dict[str, str]:
    """A distinct text of at most `width` characters for each name, in their order; short names stay."""
    names = list(dict.fromkeys(names))
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names, key=lambda name: (len(name) > width, name)):
        short = name if len(name) <= width else _squeeze(name, width, "..")
        number = 2
        while short in taken:
            short = _squeeze(name, width, f"..{number}..")
            number += 1
        taken.add(short)
        result[name] = short
    return {name: result[name] for name in names}


def _squeeze(name: str, width: int, mark: str) -> str:
    """The name with its middle replaced by `mark`."""
    tail = (width - len(mark)) // 2
    return name[: width - len(mark) - tail] + mark + name[-tail:]


def plain(text: str) -> str:
    """Printable ASCII: everything else is written as its escape, so that any pipe can carry it."""
    escaped = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)


def printable(text: str) -> str:
    """The text without control characters, which neither SVG nor a terminal can hold."""
    return "".join(c if c.isprintable() else "�" for c in text)


def ratio(value: float | None) -> str:
    """A gain with as many digits as its size deserves."""
    if value is None or not math.isfinite(value):
        return "-"
    digits = next((n for n, limit in ((3, 10), (2, 100), (1, 1000)) if abs(value) < limit), 0)
    return f"{value:.{digits}f}" if abs(value) < 10_000 else f"{value:.0e}"


def slope(value: float) -> str:
    """A slope with three digits, and no sign where they are all zero."""
    return f"{round(float(value), 3) + 0.0:.3f}"


def loss(value: float | None) -> str:
    """A loss with three digits behind the point."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"


def count(value: float | None) -> str:
    """A count with a metric suffix: 30.1M."""
    if value is None or not math.isfinite(value):
        return "-"
    for limit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"


def scientific(value: float | None) -> str:
    """A large number as 1.23×10¹⁵."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)) + 1e-12)
    mantissa = f"{value / 10**exponent:.3g}"
    power = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}\N{MULTIPLICATION SIGN}{power}"
