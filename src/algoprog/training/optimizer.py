"""What an optimizer is built from and what it costs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from algoprog.model.interface.roles import Declared

MOMENT_BYTES = 4
"""A running mean or sum of a gradient, or of its square, in float32."""


RATE = "rate"
"""Key of a parameter group: the factor of its learning rate, where it has one."""


class Recipe(ABC):
    """A way to update a model's parameters, by what each is for.

    Learning rates belong to parameter groups: a schedule multiplies that of every group by the same factor, so groups
    may have rates of their own. State lies in numbers and in tensors of the parameters' shapes, or in lists and dicts
    of others, which are whole on every device; all in `state_dict`, so that checkpoints, branches and shards hold it.
    Parameters may be shards (`DTensor`), without which no step is whole.
    """

    elementwise: ClassVar[bool] = False
    """Whether it moves every element by about its rate, whatever the size of its gradient, as Adam does."""

    decomposes: ClassVar[bool] = False
    """Whether it takes matrices apart, for which there are no kernels in bfloat16."""

    @abstractmethod
    def __call__(self, parameters: Sequence[Declared]) -> Optimizer:
        """The optimizer of a model's parameters."""

    @abstractmethod
    def state_bytes(self, parameter: Declared) -> int:
        """Bytes that it keeps of one parameter between steps."""

    @abstractmethod
    def flops(self, parameter: Declared) -> float:
        """FLOPs of the matrix products of one step, two a multiply-add, that one parameter takes; 0 without any.

        They are charged to the run beside those of the model. Elementwise work is not counted, as in the model.
        """


def check_knobs(*, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> tuple[float, float]:
    """The two decays of Adam's running means, once every knob of it is known to make sense.

    Raises:
        ValueError: one does not, named as the command line names it.
    """
    check_rates(lr=lr, eps=eps, weight_decay=weight_decay)
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"optim.betas={list(betas)} must be two numbers, each at least 0 and below 1")
    return betas[0], betas[1]


def check_rates(**knobs: float) -> None:
    """Refuse knobs of an optimizer, by name, that are no finite number of at least 0.

    Raises:
        ValueError: one is none.
    """
    for name, value in knobs.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"optim.{name}={value} must be a number of at least 0")


def groups(parameters: Sequence[Declared], *, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: what decays, then the rest; of both, one for every rate that roles have, 1 first.

    Decay is divided by a rate, so that weights are as often renewed at any: it acts by the product of both.
    """
    return [*_by_rate(parameters, True, weight_decay), *_by_rate(parameters, False, 0.0)]


def _by_rate(parameters: Sequence[Declared], decayed: bool, weight_decay: float) -> Iterator[dict[str, Any]]:
    chosen = [own for own in parameters if own.decayed is decayed]
    for rate in sorted({own.rate for own in chosen}, key=lambda rate: (rate != 1, rate)) or [1.0]:
        alike = [own.parameter for own in chosen if own.rate == rate]
        own = {RATE: rate} if rate != 1 else {}  # groups of runs that have no such rates are what they were
        yield {"params": alike, "weight_decay": weight_decay / rate, **own}


def at_their_rates(optimizer: Optimizer) -> Optimizer:
    """The optimizer, with every group at its own multiple of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] *= group.get(RATE, 1.0)
    return optimizer


class Averaging(Optimizer, ABC):
    """An optimizer whose weights in training are not those that it gives."""

    @abstractmethod
    def averaged(self) -> AbstractContextManager[None]:
        """Puts the weights that it gives in place; when it is left, those of training are back to the bit."""


class OfMatrices(Optimizer, ABC):
    """The part of an optimizer that treats matrices as matrices.

    Args:
        parameters: each of one matrix or several.
        weight_decay: of those that decay.
        knobs: of a parameter group.
    """

    def __init__(self, parameters: Sequence[Declared], *, weight_decay: float, knobs: dict[str, Any]) -> None:
        self.declared = {own.parameter: own for own in parameters}
        super().__init__(groups(parameters, weight_decay=weight_decay), knobs)

    # torch declares two forms of it.
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of everything that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, parameter.grad, group)

    @abstractmethod
    def update(self, parameter: Parameter, grad: Tensor, group: dict[str, Any]) -> None:
        """Move one parameter; of several devices each is given its part."""


class Combined(Optimizer):
    """Several optimizers that share out a model, as one: one list of groups, one state, one step.

    Args:
        inner: each with parameters of its own.
    """

    def __init__(self, inner: Sequence[Optimizer]) -> None:
        self.inner = tuple(inner)
        super().__init__([group for one in self.inner for group in one.param_groups], {})
        self._share()

    # torch declares two forms of it.
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each, on the same gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for one in self.inner:
            one.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let the inner optimizers work on the groups and the state of this one."""
        for one in self.inner:
            for parameter, state in one.state.items():
                self.state.setdefault(parameter, state)
        begin = 0
        for one in self.inner:
            end = begin + len(one.param_groups)
            one.param_groups, one.state = self.param_groups[begin:end], self.state
            begin = end
