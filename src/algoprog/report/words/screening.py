"""What a screen dropped, in words."""

from __future__ import annotations

from algoprog.ceg.screening.rule import Decision
from algoprog.report.words.naming import ratio


def reason(decision: Decision) -> str:
    """Why, with the numbers."""
    measured = [] if decision.ceg is None else [f"measured {ratio(decision.ceg)}"]
    upper = [] if decision.high is None else [f"below {ratio(decision.high)} at the level of this look"]
    numbers = ", ".join((*measured, *upper))
    return f"{decision.reason} ({numbers})" if numbers else decision.reason
