"""What a logger is told about a run, and how all of them are closed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from algoprog.runs.record import COMPARE, CURVE_FILE, LOSS_AT_CONTEXT, Record

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

LoggedRow = dict[str, float | int]


@dataclass(frozen=True)
class RunLabels:
    """What a logger is told about a run; `config` holds the columns that a dashboard groups by."""

    folder: Path
    name: str
    group: str
    run_id: str
    config: dict[str, Any]
    role: str = COMPARE  # search or compare

    def rows(self) -> list[LoggedRow]:
        """The rows that `curve.csv` holds already: those of a run that is being resumed."""
        path = self.folder / CURVE_FILE
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: _number(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


@runtime_checkable
class Closes(Protocol):
    """A logger that shows how a run ended."""

    def close(self, exit_code: int, record: Record | None) -> None:
        """The run is over; a run without a record has failed."""


def replay(logger: Logger, rows: Iterable[LoggedRow]) -> Logger:
    """The logger, after it was given the rows of a resumed run once more."""
    for row in rows:
        logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))
    return logger


def finish(loggers: list[Logger], *, exit_code: int, record: Record | None = None) -> None:
    """Close every logger; a non-zero exit code shows as a failed run."""
    for logger in loggers:
        logger.finalize("success" if exit_code == 0 else "failed")
        if isinstance(logger, Closes):
            logger.close(exit_code, record)


def columns(record: Record) -> dict[str, Any]:
    """The results of a run that tables and filters use, as plain values."""
    return {
        "status": record.status,
        "flags": " ".join(record.flags),
        "train_flops": record.train_flops,
        "steps": record.steps,
        "tokens": record.tokens,
        "seconds": record.seconds,
        "final_val_loss": record.final_val_loss,
        "min_val_loss": record.min_val_loss,
        "tokens_per_second": record.tokens_per_second,
        "peak_memory_bytes": record.peak_memory_bytes,
        **{name: value for name, value in record.facts.items() if name.startswith(LOSS_AT_CONTEXT)},
    }


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under the keys of the command line, such as `optim.lr`."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def require(option: str, module: str) -> None:
    """Refuse an option whose package is not installed.

    Raises:
        ValueError: with the command that installs it.
    """
    if importlib.util.find_spec(module) is None:
        raise ValueError(f"logger={option} needs a package that is not installed: pip install 'algoprog[{option}]'")


def _number(cell: str) -> float | int:
    try:
        return int(cell)
    except ValueError:
        return float(cell)
