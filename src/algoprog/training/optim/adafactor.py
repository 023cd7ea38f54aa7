"""Adafactor: second moments of a matrix kept as one of each row and one of each column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared
from algoprog.training.devices.shards import gathered, part
from algoprog.training.optimizer import MOMENT_BYTES, Recipe, check_rates, groups

EPS = 1e-30
"""Added to every square, as in the paper."""


class Adafactor(Recipe):
    """Divides a gradient by the root of its second moments, which of a matrix have rank one, and has no first moment.

    Steps are relative to the root mean square of the parameter, and are cut where the update's own is too large.
    It is torch.optim.Adafactor where gradients are not tiny. That factors whole parameters: here every projection of a
    fused matrix and every expert of a stack has moments of its own, and shards are put together.

    Args:
        lr: peak of the relative step, in which 1 / sqrt(step) is the most.
        beta2_decay: exponent of the step in the weight of a new square; below 0.
        clip: root mean square of an update at which it is cut.
        least_rms: that a parameter counts as at least.
        weight_decay: decoupled, of what parts declare as decayed; times `lr`.

    Raises:
        ValueError: a knob is out of range.

    Source: Shazeer and Stern 2018 (arXiv 1804.04235), algorithms 4 and 5; weight decay as in torch.optim.Adafactor.
    """

    def __init__(self, *, lr: float, beta2_decay: float, clip: float, least_rms: float, weight_decay: float) -> None:
        check_rates(lr=lr, least_rms=least_rms, weight_decay=weight_decay)
        if not beta2_decay < 0:
            raise ValueError(f"optim=adafactor: optim.beta2_decay={beta2_decay} must be below 0")
        if not clip > 0:
            raise ValueError(f"optim=adafactor: optim.clip={clip} must be above 0")
        self.weight_decay = weight_decay
        self.knobs = {"lr": lr, "beta2_decay": beta2_decay, "clip": clip, "least_rms": least_rms}

    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """Decayed parameters first, the others second."""
        return Factored(parameters, weight_decay=self.weight_decay, knobs=self.knobs)

    def state_bytes(self, parameter: Declared) -> int:
        """Rows and columns of every matrix; as many as elements of anything else."""
        if parameter.parameter.ndim < 2:
            return MOMENT_BYTES * parameter.parameter.numel()
        return MOMENT_BYTES * sum(rows + columns for rows, columns in parameter.matrices())

    def flops(self, parameter: Declared) -> float:
        """Elementwise: the product of rows and columns is one multiplication an element."""
        return 0


class Factored(Optimizer):
    """The rule of Adafactor.

    Args:
        parameters: each of matrices, or a vector.
        weight_decay: of those that decay.
        knobs: of a parameter group, as in `Adafactor`.
    """

    def __init__(self, parameters: Sequence[Declared], *, weight_decay: float, knobs: dict[str, Any]) -> None:
        self.declared = {own.parameter: own for own in parameters}
        super().__init__(groups(parameters, weight_decay=weight_decay), knobs)

    # torch declares two forms of it.
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step, after the closure where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, gathered(parameter.grad), group)
        return loss

    def _update(self, parameter: Parameter, grad: Tensor, group: dict[str, Any]) -> None:
        state, weights = self.state[parameter], gathered(parameter)
        state["step"] = state.get("step", 0) + 1
        rate = min(group["lr"], state["step"] ** -0.5)
        new, update = state["step"] ** group["beta2_decay"], torch.empty_like(grad)
        of_vector = grad.ndim < 2
        places = (grad, weights, update)
        split = [places] if of_vector else [*zip(*map(self.declared[parameter].split, places), strict=True)]
        for number, (gradient, own, moved) in enumerate(split):
            squares = self._square(state, gradient, new, None if of_vector else number)
            moved.copy_(gradient * squares.rsqrt())
            size = _rms(own, of_vector).clamp(min=group["least_rms"])
            moved.mul_(rate * size / (_rms(moved, of_vector) / group["clip"]).clamp(min=1))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(part(update, parameter))

    def _square(self, state: dict[str, Any], gradient: Tensor, new: float, number: int | None) -> Tensor:
        """The second moments after this gradient; of a matrix, or of each in a stack, the product of both means."""
        square = gradient.square() + EPS
        if number is None:
            return self._mean(state, "square", square, new)
        rows = self._mean(state, f"rows_{number}", square.mean(dim=-1, keepdim=True), new)
        columns = self._mean(state, f"columns_{number}", square.mean(dim=-2, keepdim=True), new)
        return rows / rows.mean(dim=-2, keepdim=True) * columns

    def _mean(self, state: dict[str, Any], name: str, value: Tensor, new: float) -> Tensor:
        """A running mean that takes up a value; kept as a list, for no device has a share of it."""
        (mean,) = state.setdefault(name, [torch.zeros_like(value)])
        return mean.lerp_(value, new)


def _rms(x: Tensor, of_vector: bool) -> Tensor:
    """Root mean square of a vector, or of every matrix."""
    square = x.square()
    return (square.mean() if of_vector else square.mean(dim=(-2, -1), keepdim=True)).sqrt()
