"""Any estimators side by side as a terminal table: 80 columns, plain ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS
from algoprog.ceg.estimator.known import ESTIMATORS
from algoprog.report.summary import Arm, Group, summarise
from algoprog.report.tables.table import NOTHING, gain_cell, group_title
from algoprog.report.words.naming import plain, shorten
from algoprog.report.words.notes import WIDTH, Notes, full_names, wrapped
from algoprog.report.words.words import gain_text, interval_text
from algoprog.runs.record import Run

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain

_VARIANT, _NOTE = 16, 7
_ROOMY = 26
"""Columns from which on an estimator's interval stands beside its value."""


def estimators_table(
    gains: Sequence[Gain], runs: Sequence[Run] = (), *, cost: str = "flops", confidence: float = 0.9
) -> str:
    """One row a variant and model, one column an estimator, in the order in which the gains name them.

    Up to two estimators have room for their intervals.

    Args:
        gains: of any estimators; those of other cost axes are ignored.
        runs: the runs behind them, for the models' sizes.
        cost: cost axis of all columns.
        confidence: level that the gains' intervals were computed for.
    """
    shown = [gain for gain in gains if gain.cost == cost]
    estimators = list(dict.fromkeys(gain.estimator for gain in shown))
    groups = [group for group in summarise(shown, runs) if any(arm.gains for arm in group.arms)]
    if not groups:
        return NOTHING
    names = shorten((plain(arm.variant) for group in groups for arm in group.arms), _VARIANT)
    notes = Notes(groups, cost)
    lines = [f"Compute-equivalent gain (CEG) by estimator, cost axis: {COSTS[cost].title}"]
    for group in groups:
        lines += ["", *notes.title(group_title(group), group), "=" * WIDTH, *_head(estimators), "-" * WIDTH]
        lines += [_row(arm, group, cost, estimators, names, notes) for arm in group.arms]
    below = [*_legend(estimators, groups, confidence), *notes.legend(), *full_names(names)]
    return "\n".join([*lines, "-" * WIDTH, *wrapped(below)]) + "\n"


def _width(estimators: Sequence[str]) -> int:
    return min((WIDTH - _VARIANT - _NOTE) // len(estimators), 28)


def _head(estimators: Sequence[str]) -> list[str]:
    """Names of the estimators, over two lines where one would not hold them."""
    width = _width(estimators)
    parts = [name.split("_", 1) if len(name) > width - 2 and "_" in name else ["", name] for name in estimators]
    first = _line("", [part[0] + "  " for part in parts], width)
    second = _line("variant", [part[1] + "  " for part in parts], width, "note")
    return [first, second] if first.strip() else [second]


def _row(arm: Arm, group: Group, cost: str, estimators: Sequence[str], names: dict[str, str], notes: Notes) -> str:
    width = _width(estimators)
    cells = [_cell(arm, estimator, cost, width) for estimator in estimators]
    return _line(names[plain(arm.variant)], cells, width, notes.of_arm(group, arm.variant))


def _cell(arm: Arm, estimator: str, cost: str, width: int) -> str:
    gain = arm.gain(estimator, cost)
    if gain is not None and gain.kind == "bound":
        return gain_text(gain) + "  "
    value = gain_cell(gain)
    return f"{interval_text(gain)} {value:>8}" if width >= _ROOMY else value


def _line(variant: str, cells: Sequence[str], width: int, note: str = "") -> str:
    return f"{variant:<{_VARIANT}}{''.join(f'{cell:>{width}}' for cell in cells)} {note}"[:WIDTH].rstrip()


def _legend(estimators: Sequence[str], groups: Sequence[Group], confidence: float) -> list[str]:
    legend = [f"{own.name}: {own.summary}" for own in ESTIMATORS.values() if _shown(own.name, estimators)]
    if _width(estimators) >= _ROOMY:
        legend.append(f"[low, high]: {confidence:.0%} interval")
    if any(gain.kind == "auxiliary" for group in groups for arm in group.arms for gain in arm.gains):
        legend.append("a  never reached the target: measured at the lowest loss that both reached")
    for flag, owners in _partial_flags(estimators, groups).items():
        legend.append(f"{flag} concerns {', '.join(owners)} only")
    return legend


def _shown(name: str, estimators: Sequence[str]) -> bool:
    return any(label == name or label.startswith(f"{name}(") for label in estimators)


def _partial_flags(estimators: Sequence[str], groups: Sequence[Group]) -> dict[str, list[str]]:
    """Flags that some of the shown estimators raise and others never do."""
    owners: dict[str, set[str]] = {}
    for gain in (gain for group in groups for arm in group.arms for gain in arm.gains):
        for flag in gain.flags:
            owners.setdefault(flag, set()).add(gain.estimator)
    found = {flag: [name for name in estimators if name in names] for flag, names in sorted(owners.items())}
    return {flag: names for flag, names in found.items() if len(names) < len(estimators)}
