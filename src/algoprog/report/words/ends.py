"""Ends in words: what the slope between two ends corrected, and what would let ends meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from algoprog.report.summary import SHOWN_ESTIMATORS, Group
from algoprog.report.words.naming import plain, ratio

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain


def ends_notes(groups: Sequence[Group], cost: str) -> list[str]:
    """What was corrected between ends that just miss each other, and the budgets that would let the others meet."""
    notes = []
    for group in groups:
        gains = [gain for arm in group.arms if (gain := arm.gain(SHOWN_ESTIMATORS[0], cost)) is not None]
        notes += [text for text in (_corrected(group, gains), _settled(group, gains)) if text]
    return notes


def ends_in_brief(groups: Sequence[Group], cost: str) -> list[str]:
    """How many variants have no end near one of the baseline's, where there are too many to name them."""
    notes = []
    for group in groups:
        gains = [arm.gain(SHOWN_ESTIMATORS[0], cost) for arm in group.arms]
        apart = sum(gain is not None and gain.settling_budget is not None for gain in gains)
        if apart:
            notes.append(
                f"{apart} variants at {plain(group.label)} have no end at about a loss of {plain(group.baseline)}:"
                " schedule=wsd with branches settles it"
            )
    return notes


def _corrected(group: Group, gains: Iterable[Gain]) -> str:
    found = [(gain.variant, gain.slope_correction) for gain in gains if gain.slope_correction is not None]
    if not found:
        return ""
    factors = ", ".join(f"{variant} {ratio(factor)}" for variant, factor in found)
    return f"Slope correction of {group.label}: ends lie at losses not quite equal; the CEG holds a factor of {factors}"


def _settled(group: Group, gains: Iterable[Gain]) -> str:
    """One sentence for all variants that have no end near one of the baseline's."""
    wanted = [(gain.variant, *_budget(gain)) for gain in gains if gain.settling_budget is not None]
    if not wanted:
        return ""
    ways = [
        f"{name} to about {', '.join(f'{times:.2g}' for _, _, times in rows)} times its budget"
        for name, rows in groupby(sorted(wanted, key=lambda row: row[1] != group.baseline), key=lambda row: row[1])
    ]
    variants = ", ".join(plain(variant) for variant, *_ in wanted)
    return (
        f"No ends of {variants} and {plain(group.baseline)} at {group.label} meet. To settle it train"
        f" {'; '.join(map(plain, ways))}, or train all with schedule=wsd and branches"
    )


def _budget(gain: Gain) -> tuple[str, float]:
    """Whose budget would have to grow, and by which factor."""
    times = gain.settling_budget or 1.0
    return (gain.baseline, times) if times >= 1 else (gain.variant, 1 / times)
