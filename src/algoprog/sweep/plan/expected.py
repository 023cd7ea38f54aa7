"""How long a sweep will take, in the line before it starts."""

from __future__ import annotations

from pathlib import Path

from algoprog.sweep.plan.calibration import Calibration
from algoprog.sweep.plan.members import times_as_fast
from algoprog.sweep.plan.pace import Pace
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan
from algoprog.sweep.plan.wall import Machine

SHORT_FLOPS = 3e12
"""A sweep that costs less is over before a forecast would be of use: a minute or so on two cores."""

CALIBRATION_SECONDS = 3.0
"""After so many no further model is measured before the sweep starts."""


def expected_time(planned: Plan, where: Placement, sweep_dir: Path) -> str:
    """A sentence on the time that the runs to train will take; empty where they are short or nothing tells."""
    todo = [spec for spec, _ in planned.todo]
    if sum(spec.paid_flops + spec.evaluation_flops for spec in todo) < SHORT_FLOPS:
        return ""
    at_once = planned.at_once or where.at_once(len(todo))
    folder = Path(todo[0].config["cache_dir"]).expanduser()
    beside = min(at_once, len(todo)) if where.launcher == "local" else 1
    pace = Pace(sweep_dir, where.gpus, Calibration(folder, where.threads(at_once), CALIBRATION_SECONDS, beside))
    found = [pace.expected(spec) for spec in todo]
    known = [one for one in found if one]
    if len(known) < len(found):
        return ""
    faster = times_as_fast(planned, where, sweep_dir)
    seconds = Machine(at_once, composing=0.0).phase(
        [one.seconds / faster.get(spec.name, 1.0) for spec, one in zip(todo, known, strict=True)]
    )
    how = "a few steps of the models here" if any(one.n_runs == 0 for one in known) else "the runs that are finished"
    return f"expected: {time_text(seconds)} with {at_once} at a time, by {how}"


def time_text(seconds: float) -> str:
    """A time of two or three digits in its unit."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
