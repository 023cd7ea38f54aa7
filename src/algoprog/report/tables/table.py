"""The gains as a terminal table: 80 columns, plain ASCII, no colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from algoprog.report.summary import ESTIMATORS, Arm, Group, by_display_name, summarise
from algoprog.report.words.naming import COST_TITLES, count, loss, plain, shorten
from algoprog.report.words.noise import floor_sentences
from algoprog.report.words.notes import WIDTH, Notes, full_names, wrapped
from algoprog.report.words.words import gain_text, interval_text
from algoprog.runs.record import Run

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain
    from algoprog.ceg.noise_floor import NoiseFloor

_VARIANT = 16
NOTHING = "No runs and no gains: nothing to show.\n"


def gains_table(
    gains: Sequence[Gain],
    runs: Sequence[Run] = (),
    *,
    cost: str = "flops",
    confidence: float = 0.9,
    floors: Mapping[str, NoiseFloor] | None = None,
) -> str:
    """The table of gains at one cost axis, with a compact column for the seconds (or, at seconds, the FLOPs).

    Args:
        gains: every gain of the sweep; other estimators and costs than the shown ones are ignored.
        runs: the runs behind them, for sizes and losses.
        cost: cost axis of the main columns.
        confidence: level that the gains' intervals were computed for.
        floors: what `noise_floors` returned for this cost axis, to be stated in words.
    """
    groups = summarise([gain for gain in gains if gain.estimator in ESTIMATORS], runs)
    if not any(group.arms for group in groups):
        return NOTHING
    names = shorten((plain(arm.variant) for group in groups for arm in group.arms), _VARIANT)
    notes = Notes(groups, cost)
    lines = [f"Compute-equivalent gain (CEG), cost axis: {COST_TITLES.get(cost, cost)}"]
    for group in groups:
        lines += ["", *_head(group, cost, confidence, notes)]
        lines += [_row(arm, group, cost, names, notes) for arm in group.arms]
    found = floor_sentences(groups, by_display_name(floors or {}, runs), cost=cost, confidence=confidence)
    below = [
        *_legend(groups, cost),
        *notes.legend(),
        *(f"Noise floor of {label}: {text}" for label, text in found.items()),
        *full_names(names),
    ]
    return "\n".join([*lines, "-" * WIDTH, *wrapped(below)]) + "\n"


def group_title(group: Group) -> str:
    """Model, size and what its gains are measured against."""
    size = f", {count(group.n_params)} parameters" if group.n_params else ""
    return f"{plain(group.label)}{size}, gains over {plain(group.baseline)} at {loss(group.target)} nats"


def gain_cell(gain: Gain | None) -> str:
    """The gain padded so that the digits of auxiliary and other values stand below each other."""
    text = gain_text(gain) if gain and gain.kind != "bound" else "-"
    return text if text.endswith(" a") else text + "  "


def _head(group: Group, cost: str, confidence: float, notes: Notes) -> list[str]:
    other = "CEG(s)" if cost != "seconds" else "CEG(F)"
    interval = f"{confidence:.0%} interval"
    columns = _line("variant", "loss", "CEG  ", interval, "bound", "paper  ", other, "note")
    return [*notes.title(group_title(group), group), "=" * WIDTH, columns, "-" * WIDTH]


def _row(arm: Arm, group: Group, cost: str, names: dict[str, str], notes: Notes) -> str:
    shown = arm.gain(ESTIMATORS[0], cost)
    bound = arm.bound(ESTIMATORS[0], cost)
    paper, other = arm.gain(ESTIMATORS[1], cost), arm.gain(ESTIMATORS[0], _other(cost))
    return _line(
        names[plain(arm.variant)],
        "diverged" if arm.diverged else loss(arm.final_loss),
        gain_cell(shown),
        interval_text(shown),
        gain_text(bound) if bound else "",
        gain_cell(paper),
        gain_cell(other),
        notes.of_arm(group, arm.variant),
    )


def _line(variant: str, loss: str, ceg: str, interval: str, bound: str, paper: str, other: str, notes: str) -> str:
    cells = f"{variant:<{_VARIANT}}{loss:>9}{ceg:>9}{interval:>16}{bound:>8}{paper:>9}{other:>8}"
    return f"{cells} {notes}"[:WIDTH].rstrip()


def _other(cost: str) -> str:
    return "flops" if cost == "seconds" else "seconds"


def _legend(groups: Sequence[Group], cost: str) -> list[str]:
    arms = [arm for group in groups for arm in group.arms]
    kinds = {gain.kind for arm in arms for gain in arm.gains}
    legend = [
        "CEG 2 = the same loss for half the cost. CEG, interval: iso_loss estimator.",
        "loss: last validation loss in nats per token, mean over seeds",
    ]
    if "auxiliary" in kinds:
        legend.append("a  never reached the target: measured at the variant's own lowest loss")
    if "bound" in kinds:
        legend.append("bound: what the target that was not reached still says about the gain")
    execution = sorted({plain(arm.variant) for arm in arms if arm.execution_only})
    if execution and cost != "seconds":
        names = ", ".join(execution)
        legend.append(f"CEG(s), the gain in seconds, is what {names} is about: same function, other execution")
    return legend
