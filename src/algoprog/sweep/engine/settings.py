"""The knobs of the local engine, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from algoprog.sweep.engine.devices import DeviceShare, cpu_shares, gpu_shares, visible_gpus
from algoprog.training.devices.free_memory import free_memory

Auto = Literal["auto"]

HINTS: dict[str, tuple[Any, str]] = {
    "gpus": (Auto | list[int | str], "auto, or a list such as [0,1]"),
    "gpus_per_run": (int, "a whole number of at least 1"),
    "runs_per_gpu": (int, "a whole number of at least 1"),
    "runs": (Auto | int, "auto, or a whole number of at least 1"),
    "threads": (Auto | int, "auto, or a whole number of at least 1"),
    "together": (Literal["auto", "off"] | int, "auto, off, or a whole number of at least 1"),
    "memory": (Auto | float, "auto, or a number of bytes above 0"),
    "retries": (int, "a whole number of at least 0"),
    "timeout": (float | None, "null, or minutes above 0"),
    "fail_fast": (bool, "true or false"),
}
LEAST = {"gpus_per_run": 1, "runs_per_gpu": 1, "runs": 1, "threads": 1, "together": 1, "retries": 0}


@dataclass(frozen=True)
class LocalSettings:
    """What `conf/hydra/launcher/local.yaml` says, typed."""

    gpus: Auto | list[int | str]
    gpus_per_run: int
    runs_per_gpu: int
    runs: Auto | int
    threads: Auto | int
    together: Literal["auto", "off"] | int  # members of a process at most
    memory: Auto | float  # bytes
    retries: int
    timeout: float | None  # minutes
    fail_fast: bool

    def free_memory(self) -> float | None:
        """Bytes of the machine that the runs may take together; None where nobody knows.

        Raises:
            ValueError: the environment says it in a way that cannot be read.
        """
        return free_memory() if isinstance(self.memory, str) else self.memory

    def shares(self, most: int) -> list[DeviceShare]:
        """One share of the machine for each run that can be trained at the same time.

        Args:
            most: runs of the sweep, or those that memory takes; more shares than that would leave cores idle.

        Raises:
            ValueError: the GPUs that the knobs name are not there.
        """
        gpus = visible_gpus(self.gpus)
        if gpus:
            return gpu_shares(gpus, self.gpus_per_run, self.runs_per_gpu, self.threads)
        if self.gpus_per_run * self.runs_per_gpu > 1:
            raise ValueError(
                "hydra.launcher.gpus_per_run and runs_per_gpu need a GPU, and there is none: set both to 1"
            )
        return cpu_shares(self.runs, self.threads, most)


def checked(knobs: dict[str, Any]) -> LocalSettings:
    """The knobs as a yaml file or a command line gives them, typed.

    Raises:
        ValueError: the first knob that is none or cannot be used, with what can.
    """
    unknown = sorted(set(knobs) - set(HINTS))
    if unknown:
        raise ValueError(f"hydra.launcher.{unknown[0]} is no knob of hydra/launcher=local: it has {', '.join(HINTS)}")
    found = {name: typed(name, value) for name, value in knobs.items()}
    if found["gpus_per_run"] > 1 and found["runs_per_gpu"] > 1:
        raise ValueError("hydra.launcher.gpus_per_run and runs_per_gpu cannot both be above 1: set one of them to 1")
    return LocalSettings(**found)


def typed(name: str, value: Any) -> Any:
    """One knob, typed.

    Raises:
        ValueError: it cannot be used, with what can.
    """
    hint, wanted = HINTS[name]
    if name == "together" and value is False:  # what YAML makes of off
        return "off"
    plain = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
    try:
        found = TypeAdapter(hint).validate_python(plain, strict=name != "timeout")
    except ValidationError:
        raise ValueError(f"hydra.launcher.{name}={value} must be {wanted}") from None
    too_small = name in LEAST and isinstance(found, int) and found < LEAST[name]
    if too_small or (name in ("timeout", "memory") and isinstance(found, float) and not found > 0):
        raise ValueError(f"hydra.launcher.{name}={value} must be {wanted}")
    return found
