"""One run as the command line starts it: check everything, then fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from algoprog import build
from algoprog.build import RunSpec


def main(cfg: DictConfig) -> float | None:
    """One run as Hydra starts it; the final validation loss in nats.

    Raises:
        SystemExit: the configuration cannot be trained; one sentence on standard error says what to change.
    """
    hydra_cfg = HydraConfig.get()
    try:
        spec = prepare(build.resolve(cfg))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    from algoprog.fit import run  # here: lightning takes seconds, and a mistake should be told at once

    return run(spec, Path(hydra_cfg.runtime.output_dir), list(hydra_cfg.overrides.task)).final_val_loss


def prepare(config: dict[str, Any]) -> RunSpec:
    """Everything that can go wrong because of what the user asked for, before anything is trained.

    Raises:
        ValueError: the configuration cannot be trained, saying what to change.
    """
    spec = build.spec(config, build.tokens(config))
    if config["trainer"]["threads"]:
        torch.set_num_threads(config["trainer"]["threads"])
    return spec
