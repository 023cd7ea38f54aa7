"""A run's LightningModule that computes its passes together with those of other members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from algoprog.model.interface.reports import Reports
from algoprog.training.interrupt import StopRequest
from algoprog.training.members.stacked import losses
from algoprog.training.members.turns import Request, Turns
from algoprog.training.module import Batch, LanguageModel
from algoprog.training.state.random_state import Held, held_random_state, put_back_random_state

EVALUATE, BACKWARD, FORWARD = range(3)
"""In the order in which they are answered: whoever evaluates catches up with those that train."""


class Member(LanguageModel):
    """A language model whose losses and gradients come from its group; everything else is that of a lone run."""

    def sit(self, seat: Seat) -> None:
        """Ask the group of a seat from now on."""
        self.__dict__["ask"] = lambda request: seat.group.ask(seat.number, request)
        seat.group.modules[seat.number] = self

    def loss(self, batch: Batch, reports: Reports | None = None) -> Float[Tensor, ""]:
        """Mean cross-entropy in nats over all targets but the ignored, once the others want theirs."""
        loss: Tensor = self.__dict__["ask"](_Loss(self, batch, reports, torch.is_grad_enabled()))
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients, once the others want theirs."""
        self.__dict__["ask"](_Gradient(loss))


@dataclass(frozen=True)
class Seat:
    """The place of one member."""

    group: Group
    number: int
    members: int  # of the group
    request: StopRequest  # takes note of the signals of the process


@dataclass(frozen=True)
class _Loss(Request):
    """A forward pass."""

    module: Member
    batch: Batch
    reports: Reports | None
    gradient: bool

    @property
    def kind(self) -> tuple[Any, ...]:
        """By what it is for, and shapes."""
        return (FORWARD if self.gradient else EVALUATE, *self.batch[0].shape)


@dataclass(frozen=True)
class _Gradient(Request):
    """A backward pass."""

    loss: Tensor

    @property
    def kind(self) -> tuple[Any, ...]:
        """All alike."""
        return (BACKWARD,)


class Group:
    """Members in the order of their numbers, and what is done for all of them at once.

    Args:
        turn: called whenever a member goes on, with its number.
    """

    def __init__(self, turn: Callable[[int], None]) -> None:
        self.turn = turn
        self.modules: dict[int, Member] = {}
        self.random: dict[int, Held] = {}
        self.turns: Turns[Any] = Turns(self._serve, self._leave, self._enter)

    def run(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        """What each of the works, one a member, returns or raises."""
        return self.turns.run(works)

    def ask(self, number: int, request: Request) -> Any:
        """What a member asks for."""
        return self.turns.ask(number, request)

    def _serve(self, requests: Sequence[Request]) -> Sequence[Any]:
        if isinstance(requests[0], _Gradient):
            return self._backward([request for request in requests if isinstance(request, _Gradient)])
        return self._forward([request for request in requests if isinstance(request, _Loss)])

    def _forward(self, requests: Sequence[_Loss]) -> list[Tensor]:
        first = requests[0]
        # The thread that computes is that of the last to ask, which may have asked for something else.
        with torch.set_grad_enabled(first.gradient), first.module.trainer.precision_plugin.forward_context():
            numbers = [next(n for n, module in self.modules.items() if module is r.module) for r in requests]
            return losses(
                [request.module.gpt for request in requests],
                [request.batch for request in requests],
                [request.reports for request in requests],
                _Streams(self.random, numbers, first.module.device),
            )

    def _backward(self, requests: Sequence[_Gradient]) -> list[None]:
        with torch.autocast(requests[0].loss.device.type, enabled=False):
            torch.autograd.backward([request.loss for request in requests])
        return [None] * len(requests)

    def _leave(self, number: int) -> None:
        if number in self.modules:
            self.random[number] = held_random_state(self.modules[number].device)

    def _enter(self, number: int) -> None:
        self.turn(number)
        if number in self.random:
            put_back_random_state(self.random[number], self.modules[number].device)


@dataclass(frozen=True)
class _Streams:
    """The generators of members that wait."""

    random: dict[int, Held]
    numbers: Sequence[int]
    device: torch.device

    def draw(self, member: int, call: Callable[[], Tensor]) -> Tensor:
        """What a call returns, with the random numbers of a member."""
        number = self.numbers[member]
        put_back_random_state(self.random[number], self.device)
        drawn = call()
        self.random[number] = held_random_state(self.device)
        return drawn
