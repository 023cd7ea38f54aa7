"""Tuning in words: what was tried, what that cost, and what a gain without it means."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.report.summary import Arm, Group
from algoprog.report.words.naming import count
from algoprog.runs.record import SEARCH, Run


def tuning_notes(groups: Sequence[Group], runs: Sequence[Run] = ()) -> list[str]:
    """What the columns of a tuned table mean, and what the trials cost beside the compared runs; empty untuned."""
    gains = [gain for group in groups for arm in group.arms for gain in arm.gains]
    if all(gain.trials is None for gain in gains):
        return []
    notes = [
        "tried: learning rates (or pairs of tuned settings) tried for the variant",
        "untuned: both at the learning rate of the baseline, read off trials of a single seed",
    ]
    cost = search_cost(groups, runs)
    return [*notes, f"Search: {cost}."] if cost else notes


def search_cost(groups: Sequence[Group], runs: Sequence[Run] = ()) -> str | None:
    """Training FLOPs of all trials, as a share of those of the compared runs where these are known.

    Without the runs of the search they are summed over the rows; an arm that shares a search is not counted again.
    """
    trials = [run.record.train_flops for run in runs if run.record.role == SEARCH]
    arms = [arm for group in groups for arm in group.arms]
    spent = trials or [value for arm in arms if not arm.execution_only and (value := _spent(arm))]
    if not spent:
        return None
    compared = sum(run.record.train_flops for arm in arms for run in arm.runs)
    share = f", {sum(spent) / compared:.0%} of the compared runs'" if compared else ""
    number = f"{len(trials)} trials, " if trials else ""
    return f"{number}{count_flops(sum(spent))} training FLOPs{share}"


def _spent(arm: Arm) -> float | None:
    return next((gain.search_flops for gain in arm.gains if gain.search_flops), None)


def count_flops(value: float) -> str:
    """FLOPs in plain ASCII."""
    return count(value) if value < 1e15 else f"{value:.2e}".replace("e+", "e")
