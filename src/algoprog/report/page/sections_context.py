"""Losses beyond the trained context, where a sweep evaluated there."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from algoprog.report.page.section import Section, Table
from algoprog.report.summary import Arm, Group
from algoprog.report.words.naming import loss
from algoprog.runs.record import LOSS_AT_CONTEXT, Run

PROSE = (
    "Each loss is the mean over windows of that length, spread over the same validation text, with every position"
    " scored. A longer window has fewer positions that see little before them, so a model that reads on as it was"
    " trained loses less there, and one that cannot loses more."
)


def contexts_section(groups: Sequence[Group]) -> Section | None:
    """Final losses by the length of the windows; None where all were evaluated at the trained context alone."""
    told = [(group, arm) for group in groups for arm in group.arms if any(map(_lengths, arm.runs))]
    lengths = sorted({length for _, arm in told for run in arm.runs for length in _lengths(run)})
    if not lengths:
        return None
    head = ("variant", "model", *(f"{length} x" for length in lengths))
    rows = tuple((arm.variant, group.label, *(_mean(arm, length) for length in lengths)) for group, arm in told)
    caption = "Final loss in nats a token by the length of the context, in those of training, mean over seeds."
    return Section("Beyond the trained context", (PROSE,), table=Table(caption, head, rows))


def _lengths(run: Run) -> list[int]:
    told = [name.removeprefix(LOSS_AT_CONTEXT) for name in run.record.facts if name.startswith(LOSS_AT_CONTEXT)]
    return [int(length) for length in told if length.isdecimal()]


def _mean(arm: Arm, length: int) -> str:
    known = [run.record.facts.get(f"{LOSS_AT_CONTEXT}{length}") for run in arm.runs]
    finite = [value for value in known if value is not None]
    return loss(fmean(finite)) if finite else "-"
