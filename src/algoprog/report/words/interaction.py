"""Interactions of changes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.report.words.naming import ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.interactions import Interaction, Share


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
