"""Where the runs of a sweep are trained, and what part of a machine the launcher gives each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from algoprog.sweep.engine import ray_settings, settings, slurm_settings
from algoprog.sweep.engine.devices import visible_gpus
from algoprog.sweep.engine.slurm_check import tasks
from algoprog.training.devices.free_memory import free_memory
from algoprog.training.devices.hardware import Gpus, count_devices, gpus_here

ONE_MACHINE = ("local", "ray")
"""Launchers that give a run a part of one machine."""


@dataclass(frozen=True)
class Placement:
    """What a run will find where the chosen launcher starts it."""

    launcher: str
    knobs: Mapping[str, Any]  # of the launcher, resolved
    gpus: Gpus
    memory: float | None  # bytes of the machine for all runs at the same time on it; None where that is not known

    def at_once(self, n_runs: int) -> int:
        """Runs of a sweep of so many that share one machine's memory at the same time, as far as the cores go."""
        return len(settings.checked(dict(self.knobs)).shares(most=n_runs)) if self.launcher == "local" else 1

    def check(self, trainer: Mapping[str, Any]) -> None:
        """Refuse a run whose processes the launcher does not start.

        Raises:
            ValueError: it asks for more machines or other devices than the launcher gives, with what to change.
        """
        nodes = trainer["num_nodes"]
        if nodes > 1 and self.launcher in ONE_MACHINE:
            raise ValueError(
                f"trainer.num_nodes={nodes} but hydra/launcher={self.launcher} gives a run one machine:"
                " use trainer.num_nodes=1 or hydra/launcher=slurm"
            )
        count_devices(trainer["accelerator"], trainer["devices"], self.gpus)
        if self.launcher == "slurm":
            tasks(self.knobs["tasks_per_node"], trainer["devices"])
            if str(self.knobs["nodes"]) != str(nodes):
                raise ValueError(
                    f"trainer.num_nodes={nodes} and hydra.launcher.nodes={self.knobs['nodes']} must be the same number"
                    " under Slurm: set trainer.num_nodes for the whole sweep, and leave nodes as it is"
                )

    def threads(self, n_runs: int) -> int | None:
        """CPU threads of a run that does not set them, in a sweep of so many; None where PyTorch decides."""
        if self.launcher == "local":
            return int(settings.checked(dict(self.knobs)).shares(most=n_runs)[0]["OMP_NUM_THREADS"])
        if self.launcher == "ray":
            return max(1, int(self.knobs["num_cpus"]))
        return self.knobs["cpus_per_task"] if self.launcher == "slurm" else None


def placement(config: DictConfig) -> Placement:
    """What the launcher of a sweep's configuration gives its runs.

    Raises:
        ValueError: a knob of the launcher cannot be used, or this machine has not what it names.
    """
    launcher = str(config.hydra.runtime.choices["hydra/launcher"])
    knobs = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    assert isinstance(knobs, dict)
    own = {str(name): value for name, value in knobs.items() if name != "_target_"}
    return Placement(launcher, own, _gpus(launcher, own), _memory(launcher, own))


def _memory(launcher: str, knobs: dict[str, Any]) -> float | None:
    if launcher == "local":
        return settings.checked(knobs).free_memory()
    if launcher == "slurm":
        on_gpu = knobs["gpus_per_node"] or knobs["gres"]
        return None if knobs["mem_gb"] is None or on_gpu else float(knobs["mem_gb"]) * 2**30
    return None if launcher == "ray" else free_memory()


def _gpus(launcher: str, knobs: dict[str, Any]) -> Gpus:
    if launcher == "local":
        return _local_gpus(knobs)
    if launcher == "ray":
        given = ray_settings.checked(knobs).num_gpus
        return Gpus(math.ceil(given), None, "hydra.launcher.num_gpus")
    if launcher == "slurm":
        slurm_settings.check(knobs)
        return Gpus(None, None)
    return gpus_here()


def _local_gpus(knobs: dict[str, Any]) -> Gpus:
    """Every run is shown its share of the GPUs, and all of that is the machine to it."""
    checked = settings.checked(knobs)
    checked.shares(most=1)  # what the launcher refuses is refused here as well
    there = len(visible_gpus(checked.gpus))
    return Gpus(checked.gpus_per_run if there else 0, there, "hydra.launcher.gpus_per_run")
