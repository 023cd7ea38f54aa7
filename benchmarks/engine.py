"""How busy the local engine keeps the cores: the time of a sweep of short runs against the ideal.

Run by `make engine-speed`. Ideal is one start-up plus the time of all runs (training and evaluation, from the trainer's
construction to the record) divided by the runs at the same time. The target is a ratio of 1.15 on two quiet cores.

`make overhead` asks more of runs of 400 steps: the whole command against optimizer steps alone, those of branches
included, divided by the runs at the same time; the target is 1.10. What evaluations take is told beside it, for they
are asked for.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from algoprog import build
from algoprog.config import read_config
from algoprog.runs.record import RECORD_FILE, Run
from algoprog.runs.status import read_status
from algoprog.runs.store import load_runs
from algoprog.sweep.engine.devices import cores

ROOT = Path(__file__).resolve().parents[1]
TARGET = 1.15
OVERHEAD_TARGET = 1.10


def main() -> int:
    """Time one sweep; the exit code is 1 where the ratio misses the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--overhead", action="store_true", help="hold the whole command against optimizer steps alone")
    parser.add_argument("overrides", nargs="*", help="further words for train.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        seconds = _sweep(Path(folder), options.runs, options.steps, options.overrides)
        missed = _report(Path(folder), started, seconds)
        return _overhead(Path(folder), seconds) if options.overhead else missed


def _sweep(folder: Path, runs: int, steps: int, further: list[str]) -> float:
    """Wall-clock seconds of a sweep over seeds, its analysis included."""
    seeds = "seed=" + ",".join(map(str, range(runs)))
    words = ["-m", "model=nano", f"budget.steps={steps}", seeds, f"hydra.sweep.dir={folder}", *further]
    began = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "train.py"), *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _overhead(folder: Path, seconds: float) -> int:
    """The whole command over the steps that were asked for; 1 where it misses the target."""
    runs = load_runs(folder)
    at_once = min(cores(), len(runs), 8)
    pure = sum(_paid(run) for run in runs) / at_once
    print(f"whole command {seconds:.1f} s, optimizer steps and those of branches {pure:.1f} s: {seconds / pure:.3f}")
    points = sum(len(run.curve["step"]) for run in runs) / len(runs)
    print(f"{points:.0f} evaluations a run are in it (target {OVERHEAD_TARGET}, for evaluation.points=2)")
    return int(seconds / pure > OVERHEAD_TARGET)


def _paid(run: Run) -> float:
    """Seconds of a run's steps, and those of its branches at the same speed."""
    assert run.record.seconds is not None
    schedule = build.construct(read_config(run.path), "schedule")
    branches = sum(end - start for start, end in schedule.branches(run.record.steps))
    return run.record.seconds * (1 + branches / run.record.steps)


def _report(folder: Path, started: float, seconds: float) -> int:
    runs = load_runs(folder)
    begins, ends = [], []
    for run in runs:
        status = read_status(run.path)
        assert status is not None
        begins.append(datetime.fromisoformat(status.started).timestamp())
        ends.append((run.path / RECORD_FILE).stat().st_mtime)
    at_once = min(cores(), len(runs), 8)
    start_up, span = min(begins) - started, max(ends) - started
    busy = sum(end - begin for begin, end in zip(begins, ends, strict=True))
    ideal = start_up + busy / at_once
    overhead = (span - ideal) * at_once / len(runs)
    print(f"{len(runs)} runs, {at_once} at the same time, load before the end {os.getloadavg()[0]:.1f}")
    print(
        f"start-up {start_up:.1f} s, runs {busy:.1f} s in all (optimizer steps alone"
        f" {sum(run.record.seconds for run in runs):.1f} s), analysis {seconds - span:.1f} s"
    )
    print(f"last record after {span:.1f} s, ideal {ideal:.1f} s: ratio {span / ideal:.3f} (target {TARGET})")
    print(f"overhead of a run outside of its trainer: {overhead:.2f} s")
    return int(span / ideal > TARGET)


if __name__ == "__main__":
    sys.exit(main())
