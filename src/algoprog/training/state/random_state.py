"""Every random generator that a run may draw from, as plain values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

Held = tuple[torch.Tensor, torch.Tensor | None, Any, Any]
"""Of torch on the CPU and on the run's GPU, of numpy and of Python."""


def random_state(device: torch.device) -> dict[str, Any]:
    """Where the generators of torch (CPU and the run's GPU), numpy and Python stand."""
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": (str(kind), [int(key) for key in keys], *(float(value) for value in rest)),
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put the generators back to where they stood."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), int(position), int(has_gauss), gauss))
    random.setstate(state["python"])


def held_random_state(device: torch.device) -> Held:
    """What `random_state` gives, as each library has it: no plain values, at less than half of the time."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()


def put_back_random_state(held: Held, device: torch.device) -> None:
    """Put the generators back to where they stood."""
    cpu, cuda, of_numpy, of_python = held
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state(cuda, device)
    np.random.set_state(of_numpy)
    random.setstate(of_python)
