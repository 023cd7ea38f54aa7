"""Interactions of changes as a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.report.words.interaction import overlap, parts, pick, share
from algoprog.report.words.naming import plain, shorten
from algoprog.report.words.notes import WIDTH, full_names, wrapped
from algoprog.report.words.words import explain

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.interactions import Interaction

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


def _row(row: Interaction, part: str, name: str) -> str:
    return _line(name, *(share(pick(shares, part)) for shares in (row.singles, row.last, row.shapley)))


def _line(change: str, alone: str, last: str, shapley: str) -> str:
    return f"{change:<{_CHANGE}}{alone:>21}{last:>21}{shapley:>22}"[:WIDTH].rstrip()
