"""How a run begins is decided by its first process, which holds the lock of the folder; the others ask it.

Processes that Lightning starts find the decision in their environment. Those that torchrun or srun started ask through
a store of torch.distributed, at the address where their process group will meet: it dies with the start it belongs to.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.strategies import ParallelStrategy
from torch.distributed import DistError, Store, rendezvous  # type: ignore[attr-defined]  # torch does not declare it

from algoprog.training.state import checkpoint
from algoprog.training.state.checkpoint import Checkpoint

VARIABLE = "ALGOPROG_DECISION"
PATIENCE = timedelta(minutes=10)
"""For all processes to come to the store; a wait for the lock of the folder comes later and may take any time."""

LOOK_SECONDS = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """Whether there is anything to train, from which checkpoint on, and how the batch is cut."""

    finished: bool = False
    resume: Checkpoint | None = None
    micro_batch_size: int = 0  # 0: nothing is trained

    def text(self) -> str:
        """For the other processes: without the rows of the curve, which the first alone writes."""
        resume = self.resume and {**asdict(replace(self.resume, rows=[])), "path": self.resume.path.name}
        return json.dumps({**asdict(replace(self, resume=None)), "resume": resume})

    @classmethod
    def read(cls, text: str, folder: Path) -> Decision:
        """What `text` wrote, for the run in `folder`."""
        raw: dict[str, Any] = json.loads(text)
        resume = raw["resume"]
        path = folder / checkpoint.FOLDER / resume["path"] if resume else None
        return cls(**{**raw, "resume": Checkpoint(**{**resume, "path": path}) if resume else None})


@contextmanager
def decided(
    trainer: L.Trainer, folder: Path, store: Store | None, decide: Callable[[], Decision]
) -> Iterator[Decision]:
    """The decision of a run's first process, which alone calls `decide`; what is started within learns of it.

    Args:
        trainer: knows which process this is.
        folder: the run's folder.
        store: where the processes of this start meet, if `meet` found that they must.
        decide: called by the first process.

    Raises:
        RuntimeError: the first process ended before it decided.
    """
    if trainer.world_size == 1:
        yield decide()
        return
    if trainer.is_global_zero:
        text = decide().text()
        if store is not None:
            _tell(store, list(_asking(trainer)), text)
    elif store is not None:
        text = _ask(store, trainer.global_rank)
    else:
        text = os.environ[VARIABLE]
    os.environ[VARIABLE] = text
    try:
        yield Decision.read(text, folder)
    finally:
        del os.environ[VARIABLE]


def meet(trainer: L.Trainer) -> Store | None:
    """Where the processes of this start of a run talk; None where this one is alone or was told at its start."""
    ranks = _asking(trainer)
    if not ranks or VARIABLE in os.environ:
        return None
    assert isinstance(trainer.strategy, ParallelStrategy)
    place = trainer.strategy.cluster_environment
    assert place is not None
    address, rank = f"tcp://{place.main_address}:{place.main_port}", trainer.global_rank
    store: Store = next(rendezvous(address, rank, len(ranks) + 1, timeout=PATIENCE))[0]
    return store


def _asking(trainer: L.Trainer) -> Sequence[int]:
    """Processes that were not started by another of the run; Lightning starts those behind the first of a machine."""
    if not isinstance(trainer.strategy, ParallelStrategy):
        return ()
    place = trainer.strategy.cluster_environment
    by_hand = place is not None and place.creates_processes_externally
    step = 1 if by_hand else trainer.num_devices
    return range(step, trainer.world_size, step)


def _ask(store: Store, rank: int) -> str:
    """Wait for the decision, for as long as the first process lives.

    A question has a number of its own, and the answer names it: a store of torchrun outlives the processes of an
    attempt, and so do their questions and answers.
    """
    own, question, answer = uuid.uuid4().hex, f"algoprog/question/{rank}", f"algoprog/answer/{rank}"
    try:
        store.set(question, own)
        while True:
            if store.check([answer]):
                number, seen, text = store.get(answer).decode().split(" ", 2)
                if number == own:
                    store.set(question, seen)
                    return text
            time.sleep(LOOK_SECONDS)
    except DistError as error:
        raise RuntimeError("the first process of this run ended before it decided: its messages say why") from error


def _tell(store: Store, ranks: list[int], text: str) -> None:
    """Answer every other process, and see that it has heard: the store may end with this one."""
    seen, until = uuid.uuid4().hex, time.monotonic() + PATIENCE.total_seconds()
    while ranks and time.monotonic() < until:
        for rank in list(ranks):
            question = f"algoprog/question/{rank}"
            asked = store.get(question).decode() if store.check([question]) else None
            if asked == seen:
                ranks.remove(rank)
            elif asked:
                store.set(f"algoprog/answer/{rank}", f"{asked} {seen} {text}")
        time.sleep(LOOK_SECONDS)
    if ranks:
        log.warning("processes %s of this run have not come within %s", ranks, PATIENCE)
