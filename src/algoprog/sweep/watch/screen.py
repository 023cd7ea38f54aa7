"""What a terminal shows while a sweep runs: one table that moves, or a line a run where nobody watches."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from algoprog.ceg.curves import LEARNING_RATE
from algoprog.runs.record import LOG_FILE, SEARCH
from algoprog.runs.secrets import Guarded
from algoprog.runs.store import load_run
from algoprog.sweep.watch.status import SweepView, table

REDRAW_SECONDS = 2.0


class Screen(Protocol):
    """Where the state of the sweep is shown."""

    def draw(self) -> None:
        """Show how far the running ones are."""

    def say(self, line: str) -> None:
        """Show a sentence that stays."""

    def ended(self, run: Path, fault: str | None, seconds: float) -> None:
        """Show that the run of a folder is through."""


@contextlib.contextmanager
def screen(sweep_dir: Path, runs: Sequence[Path]) -> Iterator[Screen]:
    """The screen of one sweep, cleared behind it; `runs` are the folders of those to come."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield LogLines(len(runs))
        return
    with Live(console=Console(), transient=True, auto_refresh=False) as live:
        yield LiveTable(live, SweepView(sweep_dir), {run.name for run in runs})


class _Lasting(io.TextIOWrapper):
    """A stream that takes everything, also where nobody reads it any more or the disk behind it is full."""

    def write(self, text: str) -> int:
        """Write, or from now on forget."""
        with self._forgetting():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or from now on forget."""
        with self._forgetting():
            super().flush()

    @contextlib.contextmanager
    def _forgetting(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


_KEPT: list[_Lasting] = []
"""Streams whose end would close those below them."""


def outlive_readers() -> None:
    """From now on a reader of our output that goes away, such as `head`, ends nothing."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: Any) -> Any:
    if isinstance(stream, Guarded) and isinstance(stream.stream, _Lasting):
        return stream
    lasting = _Lasting(stream.buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=True)
    _KEPT.append(lasting)
    return Guarded(lasting)


class LogLines:
    """A line for each run that is through.

    Args:
        total: runs to come.
    """

    def __init__(self, total: int) -> None:
        self.total, self.through = total, 0

    def draw(self) -> None:
        """Nothing moves here."""

    def say(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)

    def ended(self, run: Path, fault: str | None, seconds: float) -> None:
        """Print how the run went."""
        self.through += 1
        print(f"[{self.through}/{self.total}]", _result(run, fault, seconds), flush=True)


class LiveTable:
    """The runs that are under way and those that failed, redrawn in place.

    Args:
        live: where to draw.
        view: reads the runs.
        names: of the runs to show.
    """

    def __init__(self, live: Live, view: SweepView, names: set[str]) -> None:
        self.live, self.view, self.names = live, view, names
        self._drawn = 0.0

    def draw(self) -> None:
        """Redraw, every few seconds."""
        if time.monotonic() - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        try:
            rows = [row for row in self.view.rows() if row.name in self.names]
        except (OSError, ValueError):  # whoever damaged a file of the sweep ends no run with it
            return
        text = table(rows, shown=("running", "failed", "lost"), most=max(3, self.live.console.height - 8))
        self.live.update(Text(text), refresh=True)

    def say(self, line: str) -> None:
        """Print it above the table."""
        self.live.console.print(Text(line))

    def ended(self, run: Path, fault: str | None, seconds: float) -> None:
        """Failures stay on the screen; the others are counted in the table."""
        self._drawn = 0.0
        if fault:
            self.say(_result(run, fault, seconds))


def _result(run: Path, fault: str | None, seconds: float) -> str:
    if fault:
        return f"FAILED {run.name}: {fault}: see {run / LOG_FILE}"
    try:
        record = load_run(run).record
    except ValueError as error:
        return f"{run.name}: through, but {error}"
    loss = f"loss {record.final_val_loss:.4f}" if record.final_val_loss is not None else "no loss"
    tried = f" {LEARNING_RATE}={record.protocol.get(LEARNING_RATE)}" if record.role == SEARCH else ""
    return f"{record.model} {record.variant} seed {record.seed}{tried}: {record.status}, {loss}, {seconds:.0f} s"
