"""The knobs of the Slurm engine, checked before Slurm is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from omegaconf import OmegaConf
from pydantic import Field, TypeAdapter, ValidationError

from algoprog.sweep.engine.settings import typed

OURS = ("retries", "timeout", "fail_fast")
"""Knobs that submitit does not know."""

Text = (
    Annotated[str, Field(strict=True, min_length=1)] | Annotated[int, Field(strict=True)] | None
)  # names may be digits
AtLeast0, AtLeast1 = Annotated[int, Field(strict=True, ge=0)], Annotated[int, Field(strict=True, ge=1)]
GpuCounts = Annotated[str, Field(strict=True, pattern=r"^([\w.-]+:)?\d+(,([\w.-]+:)?\d+)*$")]
MemorySize = Annotated[str, Field(strict=True, pattern=r"^\d+[KMGTkmgt]?[Bb]?$")]
Number = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]

_NAME, _WHOLE_OR_NULL = "a text or null", "a whole number of at least 1, or null"
HINTS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("partition", "qos", "account", "constraint", "exclude", "gres", "comment"), (Text, _NAME)),
    "timeout_min": (AtLeast1, "a whole number of minutes, at least 1"),
    "cpus_per_task": (AtLeast1 | None, _WHOLE_OR_NULL),
    "cpus_per_gpu": (AtLeast1 | None, _WHOLE_OR_NULL),
    "gpus_per_node": (AtLeast0 | GpuCounts | None, "a whole number, null, or a kind and a number such as a100:2"),
    "gpus_per_task": (AtLeast0 | GpuCounts | None, "a whole number, null, or a kind and a number such as a100:2"),
    "mem_gb": (Number | None, "a number of gigabytes, or null"),
    "mem_per_gpu": (MemorySize | None, "a text such as 8G, or null"),
    "mem_per_cpu": (MemorySize | None, "a text such as 8G, or null"),
    "nodes": (Any, ""),  # with what the run asks for: `Placement.check`
    "tasks_per_node": (Any, ""),
    "signal_delay_s": (AtLeast0, "a whole number of seconds, at least 0"),
    "max_num_timeout": (AtLeast0, "a whole number of at least 0"),
    "array_parallelism": (AtLeast1, "a whole number of at least 1"),
    "setup": (list[Annotated[str, Field(strict=True)]] | None, "a list of shell lines, or null"),
    "additional_parameters": (dict[str, Any], "settings of sbatch by name, such as {mail-user: me}"),
    "name": (Text, _NAME),
    "submitit_folder": (Annotated[str, Field(strict=True, min_length=1)], "a folder"),
    "stderr_to_stdout": (Annotated[bool, Field(strict=True)], "true or false"),
}


def check(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse knobs that submitit or Slurm could not use; those that are ours, typed.

    Raises:
        ValueError: the first knob that cannot be used, with what can.
    """
    for name, value in knobs.items():
        if name not in (*HINTS, *OURS):
            known = ", ".join((*HINTS, *OURS))
            raise ValueError(f"hydra.launcher.{name} is no knob of hydra/launcher=slurm: it has {known}")
        if name in HINTS:
            _check(name, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
    return {name: typed(name, knobs[name]) for name in OURS}


def _check(name: str, value: Any) -> None:
    hint, wanted = HINTS[name]
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError:
        raise ValueError(f"hydra.launcher.{name}={value} must be {wanted}") from None
