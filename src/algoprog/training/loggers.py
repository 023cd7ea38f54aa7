"""Where curves are shown besides `curve.csv`; each view is one Lightning logger."""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger


@dataclass(frozen=True)
class RunLabels:
    """What a logger is told about a run."""

    folder: Path
    name: str
    group: str
    run_id: str
    config: dict[str, Any]


def csv_logger(labels: RunLabels) -> Logger:
    """`csv/metrics.csv` in the run's folder."""
    return CSVLogger(save_dir=labels.folder, name="", version="csv")


def wandb_logger(labels: RunLabels, *, project: str, entity: str | None, mode: str, tags: list[str]) -> Logger:
    """One W&B run, grouped by sweep; never asks for a key.

    Args:
        labels: of the run.
        project: W&B project.
        entity: W&B user or team; None takes the default one.
        mode: `online`, `offline`, `disabled`, or `auto`: online where a key is configured, else offline.
        tags: shown in W&B.

    Raises:
        ValueError: unknown mode, or `online` without a key.
    """
    if mode not in ("auto", "online", "offline", "disabled"):
        raise ValueError(f"logger.mode={mode} must be auto, online, offline or disabled")
    if mode == "online" and not _has_key():
        raise ValueError("logger.mode=online needs a W&B key: run `wandb login`, or use logger.mode=offline")
    if mode == "auto":
        mode = "online" if _has_key() else "offline"
    return WandbLogger(
        name=labels.name,
        save_dir=labels.folder,
        project=project,
        entity=entity,
        group=labels.group,
        tags=tags,
        config=labels.config,
        mode=mode,
        settings={"silent": True, "console": "off"},
    )


def finish(loggers: list[Logger], *, exit_code: int) -> None:
    """Close every logger; W&B shows a non-zero exit code as a failed run."""
    for logger in loggers:
        logger.finalize("success" if exit_code == 0 else "failed")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code, quiet=True)


def _has_key() -> bool:
    """A key in the environment or where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
