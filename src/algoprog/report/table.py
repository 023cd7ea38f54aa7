"""The gains as a terminal table: 80 columns, plain ASCII, no colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.report.naming import COST_TITLES, count, loss, plain, shorten
from algoprog.report.summary import ESTIMATORS, Arm, Group, summarise
from algoprog.report.words import explain, gain_text, interval_text
from algoprog.runs.record import Run

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain

WIDTH = 80
_VARIANT = 16
_SYMBOLS = "bcdefghijklmnopqrstuvwxyz"  # a is the auxiliary mark


def gains_table(
    gains: Sequence[Gain], runs: Sequence[Run] = (), *, cost: str = "flops", confidence: float = 0.9
) -> str:
    """The table of gains at one cost axis, with a compact column for the seconds (or, at seconds, the FLOPs).

    Args:
        gains: every gain of the sweep; other estimators and costs than the shown ones are ignored.
        runs: the runs behind them, for sizes and losses.
        cost: cost axis of the main columns.
        confidence: level that the gains' intervals were computed for.
    """
    groups = summarise(gains, runs)
    if not any(group.arms for group in groups):
        return "No runs and no gains: nothing to show.\n"
    names = shorten((plain(arm.variant) for group in groups for arm in group.arms), _VARIANT)
    notes = _Notes(groups, cost)
    lines = [f"Compute-equivalent gain (CEG), cost axis: {COST_TITLES.get(cost, cost)}"]
    for group in groups:
        lines += [
            "",
            *_head(group, cost, confidence, notes),
            *(_row(arm, group, cost, names, notes) for arm in group.arms),
        ]
    return "\n".join([*lines, "-" * WIDTH, *notes.text(names)]) + "\n"


def _head(group: Group, cost: str, confidence: float, notes: _Notes) -> list[str]:
    size = f", {count(group.n_params)} parameters" if group.n_params else ""
    marks = notes.group_marks(group)
    title = f"{plain(group.label)}{size}, gains over {plain(group.baseline)} at {loss(group.target)} nats"
    other = "CEG(s)" if cost != "seconds" else "CEG(F)"
    interval = f"{confidence:.0%} interval"
    columns = _line("variant", "loss", "CEG  ", interval, "bound", "paper  ", other, "note")
    return [
        *textwrap.wrap(title + (f"  note {marks}" if marks else ""), WIDTH),
        "=" * WIDTH,
        columns,
        "-" * WIDTH,
    ]


def _row(arm: Arm, group: Group, cost: str, names: dict[str, str], notes: _Notes) -> str:
    shown = arm.gain(ESTIMATORS[0], cost)
    bound = arm.bound(ESTIMATORS[0], cost)
    paper, other = arm.gain(ESTIMATORS[1], cost), arm.gain(ESTIMATORS[0], _other(cost))
    return _line(
        names[plain(arm.variant)],
        "diverged" if arm.diverged else loss(arm.final_loss),
        _cell(shown),
        interval_text(shown),
        gain_text(bound) if bound else "",
        _cell(paper),
        _cell(other),
        notes.marks(arm, group),
    )


def _cell(gain: Gain | None) -> str:
    """The gain padded so that the digits of auxiliary and other values stand below each other."""
    text = gain_text(gain) if gain and gain.kind != "bound" else "-"
    return text if text.endswith(" a") else text + "  "


def _line(variant: str, loss: str, ceg: str, interval: str, bound: str, paper: str, other: str, notes: str) -> str:
    cells = f"{variant:<{_VARIANT}}{loss:>9}{ceg:>9}{interval:>16}{bound:>8}{paper:>9}{other:>8}"
    return f"{cells} {notes}"[:WIDTH].rstrip()


def _other(cost: str) -> str:
    return "flops" if cost == "seconds" else "seconds"


class _Notes:
    """Footnotes: one symbol a flag; a flag that all arms of a group share stands beside the group's title."""

    def __init__(self, groups: Sequence[Group], cost: str) -> None:
        arms = [arm for group in groups for arm in group.arms]
        every = dict.fromkeys(flag for arm in arms for flag in arm.flags(cost))
        self._cost = cost
        self._symbols = dict(zip(every, _SYMBOLS, strict=False))
        self._shared = {group.label: _shared(group, cost) for group in groups}
        self._execution = sorted({plain(arm.variant) for arm in arms if arm.execution_only})
        self._kinds = {gain.kind for arm in arms for gain in arm.gains}

    def group_marks(self, group: Group) -> str:
        """Symbols of the flags that every arm of the group has."""
        return "".join(self._symbols.get(flag, "") for flag in self._shared[group.label])

    def marks(self, arm: Arm, group: Group) -> str:
        """Symbols of the arm's other flags."""
        own = [flag for flag in arm.flags(self._cost) if flag not in self._shared[group.label]]
        return "".join(self._symbols.get(flag, "") for flag in own)

    def text(self, names: dict[str, str]) -> list[str]:
        """The lines below the table."""
        notes = [f"{symbol}  {plain(flag)}: {explain(flag)}" for flag, symbol in self._symbols.items()]
        return [line for note in [*self._legend(), *notes, *_full(names)] for line in _wrap(note)]

    def _legend(self) -> list[str]:
        legend = [
            "CEG 2 = the same loss for half the cost. CEG, interval: iso_loss estimator.",
            "loss: last validation loss in nats per token, mean over seeds",
        ]
        if "auxiliary" in self._kinds:
            legend.append("a  never reached the target: measured at the variant's own lowest loss")
        if "bound" in self._kinds:
            legend.append("bound: what the target that was not reached still says about the gain")
        if self._execution and self._cost != "seconds":
            names = ", ".join(self._execution)
            legend.append(f"CEG(s), the gain in seconds, is what {names} is about: same function, other execution")
        return legend


def _shared(group: Group, cost: str) -> list[str]:
    """Flags of every arm that trained, the baseline aside, where there are at least two such arms."""
    arms = [arm for arm in group.arms if arm.variant != group.baseline and not arm.diverged]
    flags = [arm.flags(cost) for arm in arms]
    return [flag for flag in flags[0] if all(flag in own for own in flags)] if len(flags) > 1 else []


def _wrap(note: str) -> list[str]:
    return textwrap.wrap(note, WIDTH, subsequent_indent="   ")


def _full(names: dict[str, str]) -> list[str]:
    return [f"{short} = {name}" for name, short in names.items() if short != name]
