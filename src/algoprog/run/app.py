"""One run as the command line starts it: check everything, then fit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from algoprog import build
from algoprog.overrides import parse, refuse_choices, subject, with_moved_axes
from algoprog.refusals.unknown import unread
from algoprog.run.micro_batch import NoRoomError, fitted
from algoprog.run.precision import settled
from algoprog.run.spec import RunSpec, priced
from algoprog.runs.failure import failed, keep_logs_private
from algoprog.runs.mistake import exit_code, sentence, visible
from algoprog.runs.secrets import redact_logs
from algoprog.training.devices.free_memory import free_memory
from algoprog.training.devices.hardware import gpus_here

OWN_PROCESS = ("local", "slurm", "ray")
"""Launchers that give every run a process of its own."""


def main(cfg: DictConfig) -> float | None:
    """One run as Hydra starts it; the final validation loss in nats.

    Raises:
        SystemExit: the configuration cannot be trained; one sentence on standard error says what to change.
    """
    hydra_cfg = HydraConfig.get()
    redact_logs()
    keep_logs_private()
    words = list(hydra_cfg.overrides.task)
    folder = Path(hydra_cfg.runtime.output_dir)
    try:
        _check_words(words)
        spec = prepare(settled(build.resolve(_with_moved_axes(cfg, words)), folder))
        _check_processes(spec, hydra_cfg)
    except (OSError, ValueError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    for line in unread(words):
        print(f"warning: {line}", file=sys.stderr)
    from algoprog.run.fit import run  # here: lightning takes seconds, and a mistake should be told at once
    from algoprog.training.state.lock import FolderTakenError

    try:
        return run(spec, folder, words).final_val_loss
    except (FolderTakenError, NoRoomError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        ended = failed(error, folder)
        alone = hydra_cfg.mode is RunMode.RUN or hydra_cfg.runtime.choices.get("hydra/launcher") in OWN_PROCESS
        raise ended if alone else RuntimeError(ended.told) from None  # other runs follow in this process


def _with_moved_axes(cfg: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of a run whose words move its baseline: `baseline.kernel=flash` gives it that kernel."""
    words = with_moved_axes(overrides)
    if words == overrides:
        return cfg
    return GlobalHydra.instance().config_loader().load_configuration("config", words, run_mode=RunMode.RUN)


def _check_words(overrides: list[str]) -> None:
    """Refuse a design or a search where there is one run.

    Raises:
        ValueError: the command line names one.
    """
    for word in parse(overrides):
        if subject(word) in ("design", "tune"):
            raise ValueError(f"{word.input_line} is for sweeps: add -m, or leave it out to train a single run")
    refuse_choices(overrides)


def _check_processes(spec: RunSpec, hydra_cfg: HydraConf) -> None:
    """Refuse to start the processes of one run from where they cannot work together.

    Raises:
        ValueError: inside a sweep's own process, or as ranks that would not write to one folder.
    """
    launcher = hydra_cfg.runtime.choices.get("hydra/launcher")
    if spec.n_devices > 1 and hydra_cfg.mode is RunMode.MULTIRUN and launcher not in OWN_PROCESS:
        raise ValueError(
            f"hydra/launcher={launcher} trains every run in the sweep's own process, where"
            f" trainer.strategy={spec.config['trainer']['strategy']} on {spec.n_devices} devices goes wrong silently:"
            f" use hydra/launcher={' or '.join(OWN_PROCESS)}"
        )
    ranks = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", "1")))
    named = any(word.startswith("hydra.run.dir=") for word in hydra_cfg.overrides.hydra)
    if ranks > 1 and hydra_cfg.mode is RunMode.RUN and not named:
        raise ValueError("under torchrun or srun every process needs the same folder: add hydra.run.dir=FOLDER")


def prepare(config: dict[str, Any]) -> RunSpec:
    """Everything that can go wrong because of what the user asked for, before anything is trained.

    Raises:
        ValueError: the configuration cannot be trained, saying what to change.
    """
    spec = fitted(priced(config, build.tokens(config)), gpus_here(), free_memory())
    if config["trainer"]["threads"]:
        torch.set_num_threads(config["trainer"]["threads"])
    return spec
