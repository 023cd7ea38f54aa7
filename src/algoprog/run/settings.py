"""Settings that no constructor of ours takes, held against what there is; the optimizer's, before anything trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from algoprog.baseline import get, option
from algoprog.build import construct
from algoprog.model.interface.roles import matrix, vector
from algoprog.runs.record import COMPARE, SEARCH
from algoprog.training.precision import FP8, FP8_CAPABILITY, MIXED_BF16, TRUE_BF16

PRECISIONS = ("32", MIXED_BF16, TRUE_BF16)
ACCELERATORS = ("auto", "cpu", "gpu", "cuda")
STRATEGIES = ("auto", "ddp", "fsdp")


def check_settings(config: dict[str, Any]) -> None:
    """Hold the settings that no constructor of ours takes against what there is.

    Raises:
        ValueError: the first that cannot be used, with what can.
    """
    trainer = config["trainer"]
    if config["precision"] == FP8:
        raise ValueError(f"precision=fp8 {_no_fp8()}: use precision=bf16-mixed")
    checks = {
        "precision": (config["precision"] in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        "role": (config["role"] in (SEARCH, COMPARE), f"{SEARCH} or {COMPARE}"),
        "seed": (0 <= config["seed"] < 2**32, "between 0 and 2^32 - 1"),
        "gradient_clip": (config["gradient_clip"] >= 0, "0 (no clipping) or above"),
        "evaluation.tokens": (config["evaluation"]["tokens"] >= 1, "at least 1"),
        "evaluation.bytes": (_at_least(config["evaluation"]["bytes"], 1), "null or at least 1"),
        "evaluation.contexts": (
            _are_contexts(config["evaluation"]["contexts"]),
            "different whole numbers of at least 1",
        ),
        "trainer.accelerator": (trainer["accelerator"] in ACCELERATORS, f"one of {', '.join(ACCELERATORS)}"),
        "trainer.strategy": (_is_strategy(trainer["strategy"]), f"one of {', '.join(STRATEGIES)}"),
        "trainer.threads": (trainer["threads"] is None or trainer["threads"] >= 1, "null or at least 1"),
        "trainer.num_nodes": (trainer["num_nodes"] >= 1, "at least 1"),
        "trainer.checkpoint_seconds": (_at_least(trainer["checkpoint_seconds"], 0), "null or at least 0"),
        "trainer.checkpoint_steps": (_at_least(trainer["checkpoint_steps"], 1), "null or at least 1"),
    }
    for name, (fits, wanted) in checks.items():
        if not fits:
            raise ValueError(f"{name}={get(config, name)} must be {wanted}")


def _no_fp8() -> str:
    """Why nothing is trained in 8 bits, as the end of a sentence."""
    found = [torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())]
    if not any(capability >= FP8_CAPABILITY for capability in found):
        return (
            "multiplies in float8, for which GPUs have units from capability 8.9 on, and this machine has no such GPU"
        )
    return "is not written: products in float8 have to be held against others on a GPU that has them, and were not"


def _are_contexts(given: list[int]) -> bool:
    return bool(given) and min(given) >= 1 and len({*given}) == len(given)


def _is_strategy(name: str) -> bool:
    """Whether Lightning knows a strategy; it takes seconds to ask."""
    if name in STRATEGIES:
        return True
    from lightning.pytorch.strategies import StrategyRegistry

    return name in StrategyRegistry


def _at_least(value: float | None, least: float) -> bool:
    return value is None or value >= least


def check_optimizer(config: dict[str, Any]) -> None:
    """Build the optimizer for one vector and one matrix, so that it refuses its knobs now.

    Raises:
        ValueError: it does, or what was chosen beside it.
    """
    try:
        recipe = construct(config, "optim")
        recipe([vector(nn.Parameter(torch.zeros(1))), matrix(nn.Parameter(torch.zeros(1, 1)))])
    except (IndexError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"optim: {message[:1].lower()}{message[1:]}: correct that knob") from error
    if construct(config, "init").by_role and not recipe.elementwise:
        raise ValueError(
            f"init={option(config['init'])} gives matrices the learning rate that Adam needs at every width, and"
            f" optim={option(config['optim'])} moves them otherwise: use optim=adamw, or another init"
        )
    if recipe.decomposes and config["precision"] == TRUE_BF16:
        raise ValueError(
            f"optim={option(config['optim'])} takes matrices apart, for which there are no kernels in bfloat16: use"
            f" precision={MIXED_BF16} with it"
        )
