"""What a step of train.py takes beside that of a bare loop around the same model: the cost of Lightning and callbacks.

Part of `make bench`, and alone: python benchmarks/whole_program.py --models nano. Both take turns; a second bare loop
says how far the machine's own unrest goes, and where that is more than the difference nothing is concluded.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from algoprog import build
from algoprog.compose import compose
from algoprog.run.app import prepare
from algoprog.run.fit import run
from algoprog.run.spec import RunSpec, language_model
from algoprog.training.clock import WARMUP_STEPS
from algoprog.training.devices.hardware import synchronize
from algoprog.training.order import RunOrder

TARGET, FROM_SECONDS = 0.02, 0.02
"""Share of a step that may be lost, where a step takes at least so long."""

ROUNDS = 5


def compared(model: str, batch: int, seq_len: int, steps: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of a step in a bare loop, and what train.py's takes over it."""
    logging.disable(logging.INFO)
    spec = _spec(model, batch, seq_len, steps)
    found = [(_program(spec), _bare(spec), _bare(spec)) for _ in range(rounds)]
    program, bare, again = (statistics.median(column) for column in zip(*found, strict=True))
    cost, spread = program / bare - 1, abs(again / bare - 1)
    return {
        "model": model,
        "ms": round(1e3 * bare, 2),
        "cost": round(cost, 4),
        "spread": round(spread, 4),
        "concluded": abs(cost) > spread,
        "met": cost <= TARGET or bare < FROM_SECONDS,
    }


def _spec(model: str, batch: int, seq_len: int, steps: int) -> RunSpec:
    sizes = [f"model={model}", f"model.seq_len={seq_len}", f"batch_size={batch}", f"micro_batch_size={batch}"]
    measured = ["evaluation.points=2", "evaluation.tokens=1024", "schedule.branches=1", f"budget.steps={steps}"]
    return prepare(build.resolve(compose([*sizes, *measured, "norm=ln", "kernel=flash", "model.dropout=0"])))


def _program(spec: RunSpec) -> float:
    """A step of the run, as its record has it: behind the first few, evaluations left out."""
    with tempfile.TemporaryDirectory() as folder:
        record = run(spec, Path(folder), [])
    assert record.tokens_per_second is not None
    return spec.tokens_per_step / record.tokens_per_second


def _bare(spec: RunSpec) -> float:
    """A step of a loop that does the same and nothing else."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = language_model(spec).to(device).train()
    built = module.configure_optimizers()
    optimizer, scheduler = built["optimizer"], built["lr_scheduler"]["scheduler"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    windows = spec.train_windows()
    order = RunOrder(len(windows), start=0, rank=0, world_size=1)
    began = 0.0
    for step, batch in enumerate(DataLoader(windows, batch_size=spec.micro_batch_size, sampler=order)):
        if step == WARMUP_STEPS:
            synchronize(device)
            began = time.perf_counter()
        loss = module.loss(tuple(part.to(device) for part in batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.gpt.parameters(), spec.config["gradient_clip"])
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    synchronize(device)
    return (time.perf_counter() - began) / (spec.total_steps - WARMUP_STEPS)


def told(row: dict[str, Any]) -> str:
    """A line."""
    doubt = "" if row["concluded"] else "  within the spread of two bare loops"
    return f"{row['model']}, train.py over a bare loop of {row['ms']} ms: {row['cost']:+.1%}{doubt}"


def main() -> None:
    """Print a line a model, and all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="nano,micro")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    rows = []
    for model in options.models.split(","):
        rows.append(compared(model, options.batch, options.seq_len, options.steps))
        print(told(rows[-1]), flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
