"""Tuning in words: what was tried, what that cost, and what a gain without it means."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.report.summary import Group
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


def search_cost(groups: Sequence[Group], runs: Sequence[Run]) -> str | None:
    """Training FLOPs of all trials, as a share of those of the compared runs where these are known."""
    trials = [run.record.train_flops for run in runs if run.record.role == SEARCH]
    compared = [run.record.train_flops for group in groups for run in group.runs]
    if not trials:
        listed = {(g.model, g.variant): g.search_flops for group in groups for arm in group.arms for g in arm.gains}
        known = [value for value in listed.values() if value]
        return f"{count_flops(sum(known))} training FLOPs" if known else None
    share = f", {sum(trials) / sum(compared):.0%} of the compared runs'" if compared else ""
    return f"{len(trials)} trials, {count_flops(sum(trials))} training FLOPs{share}"


def count_flops(value: float) -> str:
    """FLOPs in plain ASCII."""
    return count(value) if value < 1e15 else f"{value:.2e}".replace("e+", "e")
