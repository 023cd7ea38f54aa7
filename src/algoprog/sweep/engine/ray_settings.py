"""The knobs of the Ray engine, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError

HINTS: dict[str, tuple[Any, str]] = {
    "address": (str, "local, auto, HOST:PORT or ray://HOST:PORT"),
    "num_cpus": (float, "a number above 0"),
    "num_gpus": (float, "a number: a part of one GPU such as 0.25, or a whole number of GPUs"),
    "retries": (int, "a whole number of at least 0"),
    "max_retries": (int, "a whole number of at least 0"),
    "timeout": (float | None, "null, or minutes above 0"),
    "fail_fast": (bool, "true or false"),
    "environment": (list[str], "a list of names of environment variables"),
}


@dataclass(frozen=True)
class RaySettings:
    """What `conf/hydra/launcher/ray.yaml` says, typed."""

    address: str
    num_cpus: float
    num_gpus: float
    retries: int
    max_retries: int
    timeout: float | None  # minutes
    fail_fast: bool
    environment: list[str]

    @property
    def is_local(self) -> bool:
        """Is a Ray of this machine alone to be started?"""
        return self.address == "local"


def checked(knobs: Mapping[str, Any]) -> RaySettings:
    """The knobs as a yaml file or a command line gives them, typed.

    Raises:
        ValueError: the first knob that cannot be used, with what can.
    """
    plain = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value for name, value in knobs.items()
    }
    unknown = sorted(set(plain) - set(HINTS))
    if unknown:
        raise ValueError(f"hydra.launcher.{unknown[0]} is no knob of hydra/launcher=ray: it has {', '.join(HINTS)}")
    typed = RaySettings(**{name: _typed(name, value) for name, value in plain.items()})
    fraction = typed.num_gpus % 1 != 0
    for name, wrong in (
        ("num_cpus", typed.num_cpus <= 0),
        ("num_gpus", typed.num_gpus < 0 or (typed.num_gpus > 1 and fraction)),
        ("retries", typed.retries < 0),
        ("max_retries", typed.max_retries < 0),
        ("timeout", typed.timeout is not None and typed.timeout <= 0),
    ):
        if wrong:
            raise ValueError(f"hydra.launcher.{name}={plain[name]} must be {HINTS[name][1]}")
    return typed


def _typed(name: str, value: Any) -> Any:
    hint, wanted = HINTS[name]
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        raise ValueError(f"hydra.launcher.{name}={value} must be {wanted}") from None
