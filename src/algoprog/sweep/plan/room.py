"""How many runs a machine's memory takes at the same time, and how their batches are cut for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algoprog.run.memory import on_cpu
from algoprog.run.micro_batch import NoRoomError, fitted, least_memory
from algoprog.run.spec import RunSpec
from algoprog.sweep.engine.local import Local
from algoprog.sweep.plan.members import members
from algoprog.sweep.plan.placement import Placement

if TYPE_CHECKING:
    from algoprog.sweep.plan.plan import Plan


def make_room(planned: Plan, where: Placement) -> None:
    """Let as many runs go on at a time as there are cores and memory for, each with the largest micro-batch then.

    What fits not even alone is noted as refused. On GPUs every run finds out by trial when it starts.

    Args:
        planned: its runs to train are cut.
        where: they are trained.
    """
    if where.memory is None or not planned.todo:
        return
    _refuse(planned, where)
    runs = [spec for spec, _ in (*planned.done, *planned.reused, *planned.todo)]
    planned.at_once = _at_once(runs, where, where.memory)
    if planned.at_once is None:
        return
    planned.share = where.memory / planned.at_once
    planned.todo = [(fitted(spec, where.gpus, planned.share), words) for spec, words in planned.todo]


def hand_over(planned: Plan, launcher: object, where: Placement) -> None:
    """Tell the local engine what memory takes and which runs may be members; other engines have no say in it."""
    inner = getattr(launcher, "inner", launcher)
    if isinstance(inner, Local):
        inner.limit(planned.at_once, planned.share)
        inner.join(*members(planned, inner.settings.together, where))


def _refuse(planned: Plan, where: Placement) -> None:
    """Move the runs that memory does not take even alone from those to train to those refused."""
    lost = set()
    for spec, words in planned.todo:
        try:
            fitted(spec, where.gpus, where.memory)
        except NoRoomError as error:
            planned.refused.append((words, str(error)))
            lost.add(spec.former_id)  # its identity may be that of its folder
    for runs in (planned.todo, planned.asked, planned.baselines):
        runs[:] = [(spec, words) for spec, words in runs if spec.former_id not in lost]
    there = {spec.run_id for spec, _ in planned.todo}
    planned.added = [spec for spec in planned.added if spec.run_id in there]


def _at_once(runs: list[RunSpec], where: Placement, memory: float) -> int | None:
    """By the least that the largest needs: those finished before count too, so that the others sum as they did."""
    least = [need for spec in runs if on_cpu(spec.config, where.gpus) and (need := least_memory(spec, where.gpus))]
    possible = [need for need in least if need <= memory]
    if not possible:
        return None
    return max(1, min(where.at_once(len(runs)), int(memory / max(possible))))
