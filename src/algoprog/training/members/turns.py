"""Threads that take turns: one works at a time, until all of them want something that is done for all at once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Request(ABC):
    """What a worker waits for."""

    @property
    @abstractmethod
    def kind(self) -> Any:
        """Requests of equal kinds are served together; of unequal ones, the lesser first."""


Serve = Callable[[Sequence[Request]], Sequence[Any]]
"""Answers requests of one kind, in their order."""


class Turns(Generic[Result]):
    """Works that go on as if each were alone, in a fixed order, whatever the threads of the system do.

    A work has the turn until it asks for something or ends; it never sees what others do in between. Once all that are
    left have asked, those of the least kind are answered. A work that ends, by an exception too, is not waited for.

    Args:
        serve: answers requests; what it raises is raised in all that asked.
        leave: called when a work gives up its turn, with its number.
        enter: called when it has the turn again.
    """

    def __init__(self, serve: Serve, leave: Callable[[int], None], enter: Callable[[int], None]) -> None:
        self.serve, self.leave, self.enter = serve, leave, enter
        self.turn = threading.Condition()
        self.holder: int | None = None
        self.requests: dict[int, Request] = {}  # not answered yet
        self.answers: dict[int, Any] = {}
        self.left: list[int] = []

    def run(self, works: Sequence[Callable[[], Result]]) -> list[Result | BaseException]:
        """What each work returns or raises."""
        self.left, self.holder = list(range(len(works))), 0
        ended: dict[int, Result | BaseException] = {}
        # Daemons: whoever interrupts the wait must not wait for them once more at the exit.
        threads = [
            threading.Thread(target=self._work, args=(number, work, ended), daemon=True, name=f"member {number}")
            for number, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [ended[number] for number in range(len(works))]

    def ask(self, number: int, request: Request) -> Any:
        """What a work asks for, once all others wait too.

        Raises:
            Exception: what was raised for all that asked.
        """
        self.requests[number] = request
        self.leave(number)
        self._pass_on()
        self._await(number)
        answer = self.answers.pop(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _work(self, number: int, work: Callable[[], Result], ended: dict[int, Result | BaseException]) -> None:
        try:
            self._await(number)
            ended[number] = work()
        except BaseException as error:
            ended[number] = error
        finally:
            self.leave(number)
            self.left.remove(number)
            self._pass_on()

    def _await(self, number: int) -> None:
        with self.turn:
            self.turn.wait_for(lambda: self.holder == number)
        self.enter(number)

    def _pass_on(self) -> None:
        """Give the turn to the first that can go on."""
        if self.left and all(number in self.requests for number in self.left):
            self._answer()
        with self.turn:
            self.holder = next((number for number in self.left if number not in self.requests), None)
            self.turn.notify_all()

    def _answer(self) -> None:
        least = min(request.kind for request in self.requests.values())
        chosen = {number: request for number, request in self.requests.items() if request.kind == least}
        try:
            answers = list(self.serve(list(chosen.values())))
        except Exception as error:  # of all: none of them has what it needs
            answers = [error] * len(chosen)
        self.answers.update(zip(chosen, answers, strict=True))
        for number in chosen:
            del self.requests[number]
