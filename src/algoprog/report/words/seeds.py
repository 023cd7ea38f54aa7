"""What the seeds say, in words: findings, gains of seeds that survived, and what pairing was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from algoprog.report.summary import SHOWN_ESTIMATORS, Group
from algoprog.report.words.naming import plain


def seed_sentences(groups: Sequence[Group], correlations: Mapping[str, float], *, cost: str) -> list[str]:
    """Sentences about the gains of every group; `correlations` is keyed by the groups' labels."""
    said = []
    for group in groups:
        gains = [
            gain
            for arm in group.arms
            if (gain := arm.gain(SHOWN_ESTIMATORS[0], cost)) and arm.variant != group.baseline
        ]
        tested = [gain for gain in gains if gain.p_value is not None]
        if tested:
            names = ", ".join(plain(gain.variant) for gain in tested if gain.finding) or "none"
            said.append(f"Findings at {plain(group.label)}: {names} (of {len(tested)} tested; one in ten may be luck)")
        said += [
            f"{plain(gain.variant)} at {plain(group.label)}: {gain.n_seeds} of {gain.n_seeds + gain.n_diverged} seeds "
            "finished, the others diverged: its gain holds for those that finished"
            for gain in gains
            if gain.n_diverged and gain.ceg is not None
        ]
        if group.label in correlations:
            said.append(_worth(plain(group.label), correlations[group.label]))
    return said


def _worth(label: str, correlation: float) -> str:
    text = f"Pairing at {label}: last losses of a seed correlate by {correlation:.2f} between variant and baseline"
    if correlation <= 0:
        return f"{text}, so pairing seeds gained nothing"
    return f"{text}; unpaired, the same intervals would take {1 / max(1 - correlation, 0.01):.1f} times the seeds"
