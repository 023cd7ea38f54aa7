"""What a screening sweep says: what may come, what a look decided, and who is left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from algoprog.ceg.screening.decisions import Decisions
from algoprog.ceg.screening.rule import DROPPED, Decision
from algoprog.report.words.screening import reason
from algoprog.sweep.screen.rungs import Rung, Stage


def before(rungs: Sequence[Rung], decisions: Decisions, folder: Path) -> str:
    """One line on what will be looked at."""
    screen, models = decisions.screen, ", ".join(decisions.models)
    looks = ", ".join(map(str, screen.looks))
    known = f"; {len(decisions.found)} decisions made before" if decisions.found else ""
    return (
        f"screen in {folder}: {len(rungs[0].variants)} variants over {models}, looked at after"
        f" {looks} seeds; below a gain of {screen.gate:g} they are dropped{known}"
    )


def after(stage: Stage, decisions: Sequence[Decision]) -> str:
    """What a look decided: a line for each variant that it dropped."""
    gone = [one for one in decisions if one.outcome == DROPPED]
    lines = [f"{stage.name}: {len(gone)} of {len(decisions)} dropped, {len(decisions) - len(gone)} go on"]
    return "\n".join([*lines, *(f"  dropped {one.variant}: {reason(one)}" for one in gone)])


def outcome(rungs: Sequence[Rung], decisions: Decisions, aside: Collection[str]) -> str:
    """Who is left at the largest model, and what nothing was decided about."""
    last = rungs[-1].model
    gone = {one.variant for one in decisions.found.values() if one.outcome == DROPPED}
    seeds = decisions.screen.looks[-1]
    left = [name for name in rungs[-1].variants if (last, name, seeds) in decisions.found and name not in gone]
    waiting = f"; undecided, for a run failed: {', '.join(sorted(aside))}" if aside else ""
    return f"screen: {len(gone)} dropped, {len(left)} left at {last}: {', '.join(left) or 'none'}{waiting}"
