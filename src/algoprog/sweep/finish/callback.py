"""What happens when a sweep's runs are through: gains, table, report, and what failed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

ERROR_FILE = "analysis-error.txt"


class RunFolder(Callback):
    """Makes the folder of a single run before Hydra does, which would answer a refusing disk with a traceback."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Make it.

        Raises:
            SystemExit: it cannot be made (2, or 1 on a full disk); one sentence says what to change.
        """
        from algoprog.runs.mistake import exit_code, sentence

        try:
            Path(config.hydra.run.dir).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"error: hydra.run.dir: {sentence(error)}", file=sys.stderr)
            raise SystemExit(exit_code(error)) from None


class Gains(Callback):
    """Computes the gains of a finished multirun, prints the table, and writes the files."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse a sweeper that would train something else than was asked for; ours is not there yet to say it.

        Raises:
            SystemExit: it would (2); one sentence says what to change.
        """
        from algoprog.runs.mistake import sentence
        from algoprog.sweep.design.jobs import check_sweeper

        try:
            check_sweeper(config)
        except ValueError as error:
            print(f"error: {sentence(error)}", file=sys.stderr)
            raise SystemExit(2) from None

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Analyse what the sweep's folder holds.

        Raises:
            SystemExit: a run or the analysis failed (1), or nothing can be analysed (2): what could be computed stands.
        """
        from algoprog.runs.mistake import fault
        from algoprog.runs.secrets import redacted

        folder = Path(config.hydra.sweep.dir)
        try:
            failed = _failures(folder)
            code = _analyse_what_finished(folder, failed)
        except Exception as error:  # Hydra would turn it into a warning, and exit with 0
            print(f"error: the sweep cannot be summed up ({fault(error)}): the runs are kept", file=sys.stderr)
            raise SystemExit(1) from None
        for line in failed:
            print(redacted(line), file=sys.stderr)
        if code or failed:
            raise SystemExit(1 if failed else code)


def _analyse_what_finished(folder: Path, failed: list[str]) -> int:
    from algoprog.runs.store import find_runs

    if failed and not any(find_runs(folder)):
        print("no run has finished: there is nothing to analyse", file=sys.stderr)
        return 0
    return _analyse(folder)


def _analyse(folder: Path) -> int:
    """The exit code of the analysis; Hydra would turn an exception into a warning and exit with 0."""
    from algoprog.runs.failure import with_traceback
    from algoprog.runs.mistake import OF_THE_DISK, fault, sentence
    from algoprog.sweep.finish.analysis import analyse

    path = folder / ERROR_FILE
    try:
        path.unlink(missing_ok=True)
        analyse(folder, wandb=False, redraw=False)
    except ValueError as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        what = "error: the gains could not be computed"
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            print(f"{what}, the runs are kept: {sentence(error)}", file=sys.stderr)
        else:
            where = with_traceback(error, path)
            print(f"{what} ({fault(error)}): the runs are kept{where}", file=sys.stderr)
        return 1
    return 0


def _failures(folder: Path) -> list[str]:
    """A line for each run of this call that left no record: how it ended, and where the rest is."""
    from algoprog.runs.calls import read_calls
    from algoprog.runs.record import LOG_FILE, RECORD_FILE
    from algoprog.runs.status import read_status

    lines = []
    own = read_calls(folder).own
    for name in own.asked if own else ():
        run = folder / name
        if not (run / RECORD_FILE).exists():
            status = read_status(run)
            reason = status.reason if status and status.reason else "not finished"
            where = f"see {run / LOG_FILE}" if (run / LOG_FILE).exists() else "it was not started"
            lines.append(f"FAILED: {name}: {reason}: {where}")
    return lines
