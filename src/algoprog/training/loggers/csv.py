"""`logger=csv`: Lightning's table of every logged value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.training.loggers.interface import RunLabels, replay

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Csv:
    """`csv/metrics.csv` in the run's folder."""

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run."""
        from lightning.pytorch.loggers import CSVLogger  # here: a plan checks the knobs without waiting for lightning

        return replay(CSVLogger(save_dir=labels.folder, name="", version="csv"), labels.rows())
