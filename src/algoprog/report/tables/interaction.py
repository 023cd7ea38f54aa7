"""Interactions of changes as a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.report.words.naming import plain, ratio, shorten
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.interactions import Interaction, Share

_CHANGE = 16


def interactions_table(found: Sequence[Interaction], *, confidence: float = 0.9) -> str:
    """Each change alone, added last, and its Shapley share of the joint gain; the product of singles over the joint.

    Args:
        found: what `interactions` returned.
        confidence: level that it was asked for.
    """
    if not found:
        return "No variant joins several changes, such as ln+rope: no interaction to show.\n"
    names = shorten((plain(part) for row in found for part in parts(row)), _CHANGE)
    lines = [f"Do the gains of single changes multiply? CEG with {confidence:.0%} intervals"]
    for row in found:
        lines += ["", *wrapped([f"{row.model}: {row.joint.name} together {share(row.joint)}"]), "=" * WIDTH]
        lines += [_line("change", "alone", "added last", "Shapley share"), "-" * WIDTH]
        lines += [_row(row, part, names[plain(part)]) for part in parts(row)]
        lines += wrapped([overlap(row)])
    legend = [
        "added last: gain of adding the change to all others; needs arms that leave one out",
        "Shapley share: its part in the joint gain, over all orders; needs every combination. Shares multiply to it",
    ]
    legend += [f"{flag}: {explain(flag)}" for flag in dict.fromkeys(flag for row in found for flag in row.flags)]
    return "\n".join([*lines, "-" * WIDTH, *wrapped(legend), *wrapped(full_names(names))]) + "\n"


def parts(row: Interaction) -> list[str]:
    """The single changes of the joint variant."""
    return row.joint.name.split("+")


def overlap(row: Interaction) -> str:
    """One sentence about the product of single gains over the joint gain."""
    if row.redundancy is None:
        return "Not every change was run alone, so nothing is known about whether they overlap."
    low, high = row.redundancy.ci_low, row.redundancy.ci_high
    text = f"Product of the single gains / joint gain: {share(row.redundancy)}"
    if low is None or high is None:
        return f"{text}; without an interval that tells nothing about overlap."
    if low > 1:
        return f"{text}: the changes overlap, together they bring less than their product."
    return f"{text}: {'together they bring more than their product.' if high < 1 else 'they may simply multiply.'}"


def share(found: Share | None) -> str:
    """A factor with its interval; `-` where the design does not contain it."""
    if found is None:
        return "-"
    known = found.ci_low is not None and found.ci_high is not None
    return ratio(found.ceg) + (f" [{ratio(found.ci_low)}, {ratio(found.ci_high)}]" if known else "")


def pick(shares: Sequence[Share], name: str) -> Share | None:
    """The share of one change."""
    return next((found for found in shares if found.name == name), None)


def _row(row: Interaction, part: str, name: str) -> str:
    return _line(name, *(share(pick(shares, part)) for shares in (row.singles, row.last, row.shapley)))


def _line(change: str, alone: str, last: str, shapley: str) -> str:
    return f"{change:<{_CHANGE}}{alone:>21}{last:>21}{shapley:>22}"[:WIDTH].rstrip()
