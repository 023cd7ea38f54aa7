"""Footnotes of a terminal table: one letter a flag, explained once below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from algoprog.report.summary import Group
from algoprog.report.words.naming import plain
from algoprog.report.words.words import explain

WIDTH = 80
"""Columns of every table."""

_SYMBOLS = "bcdefghijklmnopqrstuvwxyz"  # a is the auxiliary mark


class Notes:
    """Letters for the flags of arms; a flag that all arms of a group share stands beside the group's title."""

    def __init__(self, groups: Sequence[Group], cost: str) -> None:
        every = dict.fromkeys(flag for group in groups for arm in group.arms for flag in arm.flags(cost))
        self._cost = cost
        self._symbols = dict(zip(every, _SYMBOLS, strict=False))
        self._shared = {group.label: _shared(group, cost) for group in groups}

    def of_group(self, group: Group) -> str:
        """Letters of the flags that every arm of the group has."""
        return "".join(self._symbols.get(flag, "") for flag in self._shared[group.label])

    def of_arm(self, group: Group, variant: str) -> str:
        """Letters of the other flags of one arm."""
        arm = group.arm(variant)
        own = [flag for flag in (arm.flags(self._cost) if arm else ()) if flag not in self._shared[group.label]]
        return "".join(self._symbols.get(flag, "") for flag in own)

    def title(self, text: str, group: Group) -> list[str]:
        """A group's title with its letters, in lines of the table's width."""
        marks = self.of_group(group)
        return textwrap.wrap(f"{text}  note {marks}" if marks else text, WIDTH)

    def legend(self, *, brief: bool = False) -> list[str]:
        """What every letter means, in brief on one line each."""
        told = {flag: f"{symbol}  {plain(flag)}: {explain(flag)}" for flag, symbol in self._symbols.items()}
        return [_first_clause(text) for text in told.values()] if brief else list(told.values())


def wrapped(notes: Iterable[str]) -> list[str]:
    """Notes in lines of the table's width, continued lines indented."""
    return [line for note in notes for line in textwrap.wrap(plain(note), WIDTH, subsequent_indent="   ")]


def full_names(names: Mapping[str, str]) -> list[str]:
    """The names that a table had to shorten."""
    return [f"{short} = {name}" for name, short in names.items() if short != name]


def _first_clause(text: str) -> str:
    """As much of a note as a line takes, to the end of a clause if there is one."""
    if len(text) <= WIDTH:
        return text
    shorter = text[: WIDTH - 1]
    ends = [shorter.rfind(mark) for mark in ("; ", ", ", ": ")]
    end = max((end for end in ends if end > WIDTH // 2), default=None)
    return shorter[: shorter.rfind(" ", 0, WIDTH - 3)] + " .." if end is None else shorter[:end]


def _shared(group: Group, cost: str) -> list[str]:
    """Flags of every arm that trained, the baseline aside, where there are at least two such arms."""
    arms = [arm for arm in group.arms if arm.variant != group.baseline and not arm.diverged]
    flags = [arm.flags(cost) for arm in arms]
    return [flag for flag in flags[0] if all(flag in own for own in flags)] if len(flags) > 1 else []
