"""`logger=tensorboard`: event files for TensorBoard."""

from __future__ import annotations

import json

from lightning.pytorch.loggers import Logger

from algoprog.training.loggers.interface import RunLabels, flat, replay, require

FOLDER = "tensorboard"


class TensorBoard:
    """`tensorboard/` in the run's folder: point `tensorboard --logdir` at a sweep's folder to see all its runs.

    Raises:
        ValueError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        require("tensorboard", "tensorboard")

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run; a resumed run writes its events anew, so that no row is there twice."""
        from lightning.pytorch.loggers import TensorBoardLogger

        for stale in (labels.folder / FOLDER).glob("events.out.tfevents.*"):
            stale.unlink()
        logger = TensorBoardLogger(save_dir=labels.folder, name="", version=FOLDER)
        text = json.dumps(flat(labels.config), indent=2, default=str)
        logger.experiment.add_text("config", f"```\n{text}\n```")
        return replay(logger, labels.rows())
