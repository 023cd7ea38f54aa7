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
            SystemExit: a run left no record; the gains of the others have been computed all the same.
        """
        from algoprog.sweep.analysis import analyse

        analyse(Path(config.hydra.sweep.dir))
        sys.stdout.flush()
