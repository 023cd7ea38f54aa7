"""Where curves are shown besides `curve.csv`; each view is one Lightning logger."""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only


@dataclass(frozen=True)
class RunLabels:
    """What a logger is told about a run."""

    folder: Path
    name: str
    group: str
    run_id: str
    config: dict[str, Any]


class Csv:
    """`csv/metrics.csv` in the run's folder."""

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run."""
        return CSVLogger(save_dir=labels.folder, name="", version="csv")


class Wandb:
    """One W&B run for every run, grouped by sweep; never asks for a key.

    Args:
        project: W&B project.
        entity: W&B user or team; None takes the default one.
        mode: `online`, `offline`, `disabled`, or `auto`: what WANDB_MODE says, else online where a key is
            configured, else offline.
        tags: shown in W&B.

    Raises:
        ValueError: unknown mode, or `online` without a key.
    """

    def __init__(self, *, project: str, entity: str | None, mode: str, tags: list[str]) -> None:
        if mode not in ("auto", "online", "offline", "disabled"):
            raise ValueError(f"logger.mode={mode} must be auto, online, offline or disabled")
        if mode == "online" and not _has_key():
            raise ValueError("logger.mode=online needs a W&B key: run `wandb login`, or use logger.mode=offline")
        automatic = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
        self.mode = automatic if mode == "auto" else mode
        self.project, self.entity, self.tags = project, entity, tags

    def __call__(self, labels: RunLabels) -> Logger:
        """The logger of one run; on processes other than the first a stand-in that logs nothing."""
        if getattr(rank_zero_only, "rank", 0):
            return WandbLogger()
        import wandb

        run = wandb.init(
            name=labels.name,
            dir=labels.folder,
            project=self.project,
            entity=self.entity,
            group=labels.group,
            tags=self.tags,
            config=labels.config,
            mode=self.mode,  # type: ignore[arg-type]
            settings=wandb.Settings(silent=True, console="off"),
        )
        return WandbLogger(experiment=run)


def finish(loggers: list[Logger], *, exit_code: int) -> None:
    """Close every logger; W&B shows a non-zero exit code as a failed run."""
    for logger in loggers:
        logger.finalize("success" if exit_code == 0 else "failed")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code)


def _has_key() -> bool:
    """A key in the environment or where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
