"""`logger=csv`: Lightning's table of every logged value."""

from __future__ import annotations

from lightning.pytorch.loggers import CSVLogger, Logger

from algoprog.training.loggers.interface import RunLabels, replay


class Csv:
    """`csv/metrics.csv` in the run's folder."""

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run."""
        return replay(CSVLogger(save_dir=labels.folder, name="", version="csv"), labels.rows())
