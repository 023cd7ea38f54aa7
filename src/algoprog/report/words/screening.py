"""What a screen dropped and what a sweep left out, in words."""

from __future__ import annotations

from algoprog.ceg.screening.decisions import Decisions
from algoprog.ceg.screening.rule import DROPPED, Decision
from algoprog.report.words.naming import ratio
from algoprog.runs.calls import Calls

MOST_WORDS = 12
"""Combinations of one reason that are listed."""


def reason(decision: Decision) -> str:
    """Why, with the numbers."""
    measured = [] if decision.ceg is None else [f"measured {ratio(decision.ceg)}"]
    upper = [] if decision.high is None else [f"below {ratio(decision.high)} at the level of this look"]
    numbers = ", ".join((*measured, *upper))
    return f"{decision.reason} ({numbers})" if numbers else decision.reason


def dropped(decisions: Decisions | None) -> list[Decision]:
    """The decisions that dropped a variant, in the order of their looks."""
    return [one for one in decisions.found.values() if one.outcome == DROPPED] if decisions else []


def dropped_lines(decisions: Decisions | None) -> list[str]:
    """A line for every look that dropped something: of the variants their gains so far."""
    found: dict[tuple[str, int], list[str]] = {}
    for one in dropped(decisions):
        gain = "diverged" if one.ceg is None else ratio(one.ceg)
        found.setdefault((one.model, one.seeds), []).append(f"{one.variant} {gain}")
    gate = f"{decisions.screen.gate:g}" if decisions else ""
    return [
        f"Dropped at {model} after {seeds} seeds, below {gate}: {', '.join(v)}" for (model, seeds), v in found.items()
    ]


def left_out(calls: Calls) -> dict[str, list[str]]:
    """What the calls of a folder could not train: the combinations by their reason."""
    found: dict[str, list[str]] = {}
    for call in calls.calls:
        for out in call.left_out:
            words = found.setdefault(str(out["reason"]), [])
            words += [text for own in out["words"] if (text := " ".join(own)) not in words]
    return found


def left_out_lines(calls: Calls) -> list[str]:
    """One line on how many combinations were left out."""
    number = sum(map(len, left_out(calls).values()))
    return (
        [f"Left out: {number} combinations that cannot be trained here, with their reasons in the report"]
        if number
        else []
    )
