"""`algoprog status` and `algoprog logs`: look at a sweep from another terminal."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.commands import Commands
from algoprog.runs.record import CONFIG_FILE, LOG_FILE, RECORD_FILE, SWEEP_FILE
from algoprog.runs.status import STATUS_FILE

if TYPE_CHECKING:
    from algoprog.sweep.watch.status import SweepView

MULTIRUN = Path("multirun")
WATCH_SECONDS = 2.0
RUN_FILES = (CONFIG_FILE, LOG_FILE, RECORD_FILE, STATUS_FILE)


def add_status(commands: Commands) -> None:
    """The sub-command `status`."""
    status = commands.add_parser("status", help="how far every run of a sweep is, while it runs or afterwards")
    status.add_argument(
        "sweep", nargs="?", type=Path, help="the sweep's folder (default: the last used below multirun)"
    )
    status.add_argument("--watch", action="store_true", help="redraw until no run is under way or queued")
    status.add_argument("--format", choices=("table", "json"), default="table")
    status.set_defaults(action=_status)


def add_logs(commands: Commands) -> None:
    """The sub-command `logs`."""
    logs = commands.add_parser("logs", help="what a run printed, every attempt of it")
    logs.add_argument("run", help="the run's folder, or its name or the beginning of it")
    logs.add_argument("--sweep", type=Path, help="folder that the name is looked up in (default: the newest sweep)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    logs.set_defaults(action=_logs)


def _status(options: argparse.Namespace) -> int:
    from algoprog.sweep.watch.status import SweepView, table

    view = SweepView(options.sweep or newest_sweep())
    if options.format == "json":
        print(json.dumps([asdict(row) for row in view.rows()], indent=2))
        return 0
    if options.watch and sys.stdout.isatty():
        _watch(view)
    elif options.watch:
        while goes_on(view):
            time.sleep(WATCH_SECONDS)
    print(table(view.rows(), to_come=view.to_come()))
    return 0


def _watch(view: SweepView) -> None:
    """Redraw in place; Ctrl-C leaves."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from algoprog.sweep.watch.status import table

    try:
        with Live(console=Console(), transient=True, auto_refresh=False) as live:
            while goes_on(view):
                most = max(3, live.console.height - 8)
                live.update(Text(table(view.rows(), to_come=view.to_come(), most=most)), refresh=True)
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def goes_on(view: SweepView) -> bool:
    """Whether a run is under way, waits, or is still to be named by a later phase."""
    return view.to_come() > 0 or any(row.state in ("running", "queued") for row in view.rows())


def newest_sweep() -> Path:
    """The sweep below `multirun` that was started or ended last.

    Raises:
        ValueError: there is none.
    """
    found = [(path.stat().st_mtime, path.parent) for path in MULTIRUN.rglob(SWEEP_FILE)]
    if not found:
        raise ValueError(f"no sweep below {MULTIRUN.resolve()}: give the sweep's folder")
    return max(found)[1]


def _logs(options: argparse.Namespace) -> int:
    folder = _run_folder(options.run, options.sweep)
    path = folder / LOG_FILE
    if not path.exists() and not options.follow:
        raise ValueError(f"{path} does not exist: the run was not started yet, or not by a sweep")
    try:
        for text in _follow(path) if options.follow else [_read(path)]:
            print(text, end="", flush=True)
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    return 0


def _run_folder(run: str, sweep: Path | None) -> Path:
    """The folder that a path, a name or its beginning means.

    Raises:
        ValueError: it means none or several.
    """
    if run and sweep is None and _is_run(Path(run)):
        return Path(run)
    root = sweep or newest_sweep()
    names = _runs(root)
    found = [name for name in names if name == run] or [name for name in names if run and name.startswith(run)]
    if len(found) == 1:
        return root / found[0]
    what = f"{run} is the beginning of several runs" if found else f"no run in {root} begins with {run or 'nothing'}"
    raise ValueError(f"{what}: {_choice(found or names)}")


def _choice(names: Sequence[str]) -> str:
    return f"give one of {', '.join(names[:8])}" if names else "name its sweep with --sweep"


def _runs(sweep: Path) -> list[str]:
    """Names of the runs of a sweep: those that it set out to train, and folders beside them that hold one."""
    from algoprog.runs.calls import read_calls

    there = [path.name for path in sweep.iterdir() if _is_run(path)] if sweep.is_dir() else []
    return sorted({*read_calls(sweep).runs, *there})


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in RUN_FILES)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _follow(path: Path) -> Iterator[str]:
    """The log as it grows, until the run is through."""
    from algoprog.sweep.watch.status import run_state

    at = 0
    while True:
        through = run_state(path.parent) not in ("running", "queued")
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(at)
                text = file.read()
                at = file.tell()
            yield text
        if through:
            return
        time.sleep(0.5)
