"""What happens when a sweep's runs are through: gains, table, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Gains(Callback):
    """Computes the gains of a finished multirun, prints the table, and writes the files."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Analyse what the sweep's folder holds.

        Raises:
            SystemExit: nothing can be analysed (2), or a run failed (1): the gains of the others stand all the same.
        """
        from algoprog.runs.record import RECORD_FILE
        from algoprog.runs.store import read_sweep
        from algoprog.sweep.analysis import analyse

        folder = Path(config.hydra.sweep.dir)
        failed = [name for name in read_sweep(folder).get("asked", []) if not (folder / name / RECORD_FILE).exists()]
        try:
            analyse(folder)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            for name in failed:
                print(f"FAILED: {name}, see {folder / name / 'run.log'}", file=sys.stderr)
        if failed:
            raise SystemExit(1)
