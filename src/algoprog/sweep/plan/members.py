"""Which runs of a plan may be members of one process, and why others may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.axes import MODEL
from algoprog.build import dims_of
from algoprog.run.memory import CPU_PROCESS_BYTES, logits_bytes, on_cpu, peak_memory
from algoprog.run.spec import RunSpec
from algoprog.runs.record import SEARCH
from algoprog.sweep.engine.job import Job, Members, jobs
from algoprog.sweep.engine.settings import checked
from algoprog.sweep.engine.together import MOST, Shape, grouped, measured
from algoprog.sweep.plan.placement import Placement

if TYPE_CHECKING:
    from algoprog.sweep.plan.plan import Plan

WORTH_FLOPS = 3e12
"""With `together=auto`, runs of one shape that cost less together are over before it is measured what pays."""

CPU_STEP_FLOPS, GPU_STEP_FLOPS = 3e8, 2e12
"""With `together=auto`, a step that costs more is not measured: its products take longer than launching them does."""


def members(planned: Plan, together: str | int, where: Placement) -> tuple[dict[str, Shape], dict[str, str]]:
    """The shapes of the runs that may be members, and a sentence on those that may not, by their folders' names.

    Args:
        planned: its runs to train.
        together: the knob of the local engine: members at most, `auto` or `off`. Under `auto` trials of a search
            alone may be members, for nobody asks for their seconds.
        where: they are trained.
    """
    if together in ("off", 1):
        return {}, {}
    auto = isinstance(together, str)
    specs = [spec for spec, _ in planned.todo if not auto or (spec.role == SEARCH and _is_cheap(spec, where))]
    if len(specs) < 2:
        return {}, {}
    from algoprog.run.stacking import alone_because, shape  # here: Lightning takes seconds to import

    texts = {spec.name: shape(spec) for spec in specs}
    shapes: dict[str, Shape] = {}
    alone: dict[str, str] = {}
    for text in dict.fromkeys(texts.values()):
        alike = [spec for spec in specs if texts[spec.name] == text]
        if len(alike) < 2 or (auto and sum(one.paid_flops for one in alike) < WORTH_FLOPS):
            continue
        reason = alone_because(alike[0])
        if reason:
            alone |= {spec.name: f"{spec.model} {spec.variant} trains alone: {reason}" for spec in alike}
            continue
        shapes |= dict.fromkeys([spec.name for spec in alike], _shape(text, alike[0], planned, where))
    return shapes, alone


def times_as_fast(planned: Plan, where: Placement, sweep_dir: Path) -> dict[str, float]:
    """How many times as fast members will train together as one after the other, by their folders' names.

    What is not known is measured, as the sweep would do and then need not. Other launchers have no members.
    """
    if where.launcher != "local":
        return {}
    knobs = checked(dict(where.knobs))
    shapes, _ = members(planned, knobs.together, where)
    if not shapes:
        return {}
    shares = knobs.shares(most=min(planned.size, planned.at_once or planned.size))[: planned.at_once]
    found: dict[Shape, float] = {}

    def gain(job: Job, shape: Shape, size: int) -> float:
        found[shape] = measured(job, shape, size, shares[0])
        return found[shape]

    work = grouped(jobs(planned.to_launch(), sweep_dir), shapes, len(shares), knobs.together, gain)
    groups = [one.jobs for one in work if isinstance(one, Members) and one.stacked]
    return {job.name: found[shapes[job.name]] for group in groups for job in group}


def _is_cheap(spec: RunSpec, where: Placement) -> bool:
    """Whether launching a step may take as long as its products."""
    most = CPU_STEP_FLOPS if on_cpu(spec.config, where.gpus) else GPU_STEP_FLOPS
    return spec.tokens_per_step * spec.flops_per_token <= most


def _shape(text: str, spec: RunSpec, planned: Plan, where: Placement) -> Shape:
    cache = Path(spec.config["cache_dir"]).expanduser()
    return Shape(text, _speed(spec), cache, _most(spec, planned, where))


def _speed(spec: RunSpec) -> str:
    """What the speed of a step depends on."""
    parts = [spec.config[name] for name in (*MODEL, "model", "precision")]
    optimizer = spec.config["optim"]["_target_"]
    return json.dumps([*parts, optimizer, spec.tokens.info.vocab_size, spec.micro_batch_size], default=str)


def _most(spec: RunSpec, planned: Plan, where: Placement) -> int:
    """Members that the memory of a CPU takes; that of a GPU is found out by trial."""
    if planned.share is None or not on_cpu(spec.config, where.gpus):
        return MOST
    stacked = logits_bytes(spec, dims_of(spec.config, spec.tokens))  # their loss is not worked out in place
    own = peak_memory(spec, where.gpus) - CPU_PROCESS_BYTES + stacked
    return max(1, int((planned.share - CPU_PROCESS_BYTES) / own))
