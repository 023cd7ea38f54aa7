"""What a sweep says before it trains: how many runs, what nobody asked for, what cannot be trained."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from algoprog.baseline import other_text
from algoprog.refusals.unknown import unread
from algoprog.run import provenance
from algoprog.run.provenance import environment
from algoprog.run.spec import RunSpec
from algoprog.runs.mistake import visible
from algoprog.runs.record import Record
from algoprog.runs.secrets import redacted
from algoprog.sweep.plan.condition import announce
from algoprog.sweep.plan.expected import expected_time
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.plan import Plan, typed
from algoprog.sweep.plan.schedules import told


def tell(planned: Plan, sweep_dir: Path, where: Placement) -> None:
    """One line on what will be trained, and a sentence for everything that nobody asked for."""
    left_out = f", {len(planned.refused)} refused and left out" if planned.refused else ""
    counted = f"{len(planned.todo)} to train, {len(planned.done)} finished before{left_out}"
    print(f"{planned.size} runs in {sweep_dir}: {counted}")
    print(told_text([spec for spec, _ in (*planned.todo, *planned.done)]), end="")
    tell_time(planned, sweep_dir, where)
    tell_origins(planned, sweep_dir, where, size=planned.size)


def told_text(specs: Sequence[RunSpec]) -> str:
    """A line on the text that all variants are validated on, where they read other data or tokens."""
    compared = dict.fromkeys(key for spec in specs for key in other_text(spec.config))
    limits = sorted({spec.config["evaluation"]["bytes"] for spec in specs if other_text(spec.config)})
    if not compared:
        return ""
    what, limit = " and ".join(compared), " or ".join(f"{limit:,}" for limit in limits)
    return f"  {what} compared in bits per byte: one text for all, at most {limit} bytes (evaluation.bytes)\n"


def tell_time(planned: Plan, sweep_dir: Path, where: Placement) -> None:
    """How long the runs to train will take, where that is worth a line."""
    if planned.todo and (time := expected_time(planned, where, sweep_dir)):
        print(f"  {time}")


def tell_origins(planned: Plan, sweep_dir: Path, where: Placement, *, size: int) -> None:
    """A sentence for every baseline that nobody asked for, and for what was begun or made elsewhere.

    Args:
        planned: the runs.
        sweep_dir: folder of the sweep.
        where: they are trained.
        size: runs of the whole sweep, by which the machine is shared out.
    """
    for spec in planned.added:
        print(f"  added the baseline {spec.name}: gains are measured against it")
    threads = where.threads(planned.at_once or size)
    for spec, _ in planned.reused:
        differs = differences(planned.records[spec.run_id], spec.config["trainer"]["threads"] or threads)
        print(f"  found the baseline {spec.name} in {planned.sources[spec.run_id]}{differs}")
    for differs, names in _done_otherwise(planned, threads).items():
        print(f"  {names[0] if len(names) == 1 else f'{len(names)} runs'}, finished before{differs}")
    print(told(planned, sweep_dir), end="")
    print(announce({spec.name: sweep_dir / spec.name for spec, _ in planned.todo}), end="", flush=True)


def _done_otherwise(planned: Plan, threads: int | None) -> dict[str, list[str]]:
    """Names of the finished runs that were made otherwise than they would be now, by how."""
    found: dict[str, list[str]] = {}
    for spec, _ in planned.done:
        differs = differences(planned.records[spec.run_id], spec.config["trainer"]["threads"] or threads)
        if differs:
            found.setdefault(differs, []).append(spec.name)
    return found


def tell_unread(words: Sequence[str]) -> None:
    """A line for every word that no part of the program reads, such as a typo behind a `+`."""
    for line in unread(words):
        print(f"warning: {line}", file=sys.stderr)


def tell_refused(planned: Plan, *, skip_refused: bool) -> None:
    """List what cannot be trained.

    Raises:
        SystemExit: there is such a combination and none may be left out, or nothing is left.
    """
    lead = "left out" if skip_refused else "error"
    for reason in dict.fromkeys(reason for _, reason in planned.refused):
        same = [visible(" ".join(typed(overrides))) for overrides, other in planned.refused if other == reason]
        text = f"{same[0]}: {reason}" if len(same) == 1 else "\n  ".join([f"{reason}:", *same])
        print(redacted(f"{lead}: {text}"), file=sys.stderr)
    if not planned.refused or (skip_refused and (planned.todo or planned.done)):
        return
    remedy = "change them" if skip_refused else "change or leave out these, or add hydra.sweeper.skip_refused=true"
    count = len(planned.refused)
    what = f"{count} combinations are impossible" if count > 1 else "1 combination is impossible"
    print(f"Nothing was trained, {what}: {remedy}.", file=sys.stderr)
    raise SystemExit(2)


def differences(record: Record, threads: int | None) -> str:
    """How a record from elsewhere was made otherwise than runs of this sweep will be; empty where it was not.

    Args:
        record: of the run from elsewhere.
        threads: CPU threads that the runs of this sweep will use; None where that is not known.
    """
    now = environment() if threads is None else {**environment(), "threads": threads}
    found = provenance.described(provenance.differences(record.environment, now))
    return f": trained {'; '.join(found)}; losses may differ in the last digits, seconds do" if found else ""
