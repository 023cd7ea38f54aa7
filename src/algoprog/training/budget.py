"""How many steps a run takes, and at which of them it is evaluated."""

from __future__ import annotations

import math

import numpy as np


def steps(budget: dict[str, float | None], *, tokens_per_step: int, flops_per_step: float, n_body_params: int) -> int:
    """Optimizer steps that spend the budget, rounded to the nearest, at least one.

    Args:
        budget: `steps`, `tokens`, `flops` and `tokens_per_param`, of which exactly one is set.
        tokens_per_step: tokens of one optimizer step over all devices.
        flops_per_step: charged for one step: of the model's training, and of the optimizer's matrix products.
        n_body_params: active parameters outside the embeddings, the unit of `tokens_per_param`.

    Raises:
        ValueError: none or several are set, or the one set is not positive.
    """
    chosen = {unit: value for unit, value in budget.items() if value is not None}
    if len(chosen) != 1:
        given = " and ".join(f"budget.{unit}={value:g}" for unit, value in chosen.items()) or "none"
        raise ValueError(f"exactly one of budget.{'|'.join(budget)} must be set, not {given}: set the others to null")
    ((unit, value),) = chosen.items()
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"budget.{unit}={value:g} must be positive")
    per_step = {
        "steps": 1.0,
        "tokens": tokens_per_step,
        "flops": flops_per_step,
        "tokens_per_param": tokens_per_step / n_body_params,
    }
    return max(1, round(value / per_step[unit]))


def evaluation_steps(total_steps: int, *, points: int | None, every: int | None) -> frozenset[int]:
    """Steps after which the validation loss is measured, always with 0 and the last.

    Half of `points` lie in geometric progression, dense early where the loss falls fast, half evenly spaced so that
    the end of the curve, where gains are read, is resolved too; `every` gives an even grid instead.

    Raises:
        ValueError: not exactly one is set, or it is too small.
    """
    if (points is None) == (every is None):
        raise ValueError("exactly one of evaluation.points and evaluation.every must be set, the other to null")
    if every is not None:
        if every < 1:
            raise ValueError(f"evaluation.every={every} must be at least 1")
        return frozenset({*range(0, total_steps + 1, every), total_steps})
    assert points is not None
    if points < 2:
        raise ValueError(f"evaluation.points={points} must be at least 2")
    even = np.linspace(0, total_steps, points // 2 + 1)
    early = np.geomspace(1, total_steps, points - points // 2)
    return frozenset(round(float(step)) for step in (*even, *early))
