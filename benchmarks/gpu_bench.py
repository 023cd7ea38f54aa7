"""What one CUDA GPU makes of our models, in nine minutes at most: `make gpu-bench`.

- members: aggregate tokens a second of 8 and 32 members over one after the other (target 4), at nano and micro;
- MFU of compact and full at the paper's batch, and math against flash attention there;
- recompilations over a whole schedule with branches and evaluations (target none behind the warm-up).

A table goes to docs/measurements/ with a line of JSON for programs. `--device cpu --tiny` runs the same code on a CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tiktoken
import torch
from torch import Tensor

from algoprog import build
from algoprog.compose import compose
from algoprog.run.app import prepare
from algoprog.run.fit import run
from algoprog.run.spec import RunSpec, language_model
from algoprog.run.stacking import gain
from algoprog.training.devices.hardware import device_name, peak_flops, synchronize
from algoprog.training.module import LanguageModel
from algoprog.training.precision import autocast

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "measurements"
MEMBERS_TARGET = 4.0
SECONDS = 480.0
"""After so many no further measurement begins; the longest takes less than what is left of nine minutes."""

PAPER = {
    "compact": ("batch_size=512", "micro_batch_size=64"),
    "full": ("batch_size=512", "micro_batch_size=32"),
}
TINY = ("model.n_layers=1", "model.d_model=16", "model.n_heads=2", "model.seq_len=32", "batch_size=4")
STEPS, WARM = 6, 2
"""Micro-batches that are measured of a large model, behind those that are not."""


@dataclass(frozen=True)
class Bench:
    """Where and at which sizes is measured."""

    device: torch.device
    tiny: bool
    deadline: float

    def spec(self, *words: str) -> RunSpec:
        """A checked run, of a small model where the sizes are tiny."""
        small = (*TINY, "micro_batch_size=2") if self.tiny else ()
        trainer = f"trainer={'gpu' if self.device.type == 'cuda' else 'cpu'}"
        return prepare(build.resolve(compose([trainer, "trainer.compile=false", *words, *small])))

    @property
    def over(self) -> bool:
        """Whether nothing further may begin."""
        return time.monotonic() > self.deadline


def members(bench: Bench) -> Iterator[dict[str, Any]]:
    """Gains of members over one after the other."""
    for model in ("nano", "micro"):
        for precision in ("32", "bf16-mixed"):
            spec = bench.spec(
                f"model={model}", f"precision={precision}", "norm=ln", "batch_size=16", "micro_batch_size=16"
            )
            for count in (2,) if bench.tiny else (8, 32):
                if bench.over:
                    return
                times = gain(spec, count, bench.device)
                yield {"model": model, "precision": precision, "members": count, "times": round(times, 2)}


def speeds(bench: Bench) -> Iterator[dict[str, Any]]:
    """Tokens a second and MFU of the paper's models, by attention kernel, eager and compiled."""
    tokenizer = ("tokenizer=bytes",) if bench.tiny else _tokenizer()
    for model, batch in PAPER.items():
        for kernel in ("math", "flash"):
            for compiled in (False, True):
                if bench.over or (compiled and bench.tiny):
                    continue
                spec = bench.spec(f"model={model}", f"kernel={kernel}", "precision=bf16-mixed", *tokenizer, *batch)
                row = {"model": model, "kernel": kernel, "compiled": compiled}
                try:
                    yield {**row, **_speed(spec, bench.device, compiled)}
                except torch.OutOfMemoryError:
                    yield {**row, "tokens_per_second": None, "mfu": None, "gib": None}
                if bench.device.type == "cuda":
                    torch.cuda.empty_cache()


def _tokenizer() -> tuple[str, ...]:
    """The paper's vocabulary where it can be loaded, else the largest that the embedded corpus teaches."""
    try:
        tiktoken.get_encoding("gpt2")
    except Exception:  # the library raises whatever its download raised
        return ("tokenizer=bpe", "tokenizer.vocab_size=30000")
    return ("tokenizer=gpt2",)


def _speed(spec: RunSpec, device: torch.device, compiled: bool) -> dict[str, Any]:
    """By the median micro-batch, and an optimizer step as often as the run has one."""
    module = _module(spec, device, compiled)
    optimizer = module.configure_optimizers()["optimizer"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    batch = _batch(spec, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    passes, updates = [], []
    for _ in range(WARM + STEPS):
        passes.append(_timed(device, lambda: _backward(module, batch, spec)))
        updates.append(_timed(device, lambda: _update(module, optimizer, spec)))
    step = spec.accumulate * statistics.median(passes[WARM:]) + statistics.median(updates[WARM:])
    speed, peak = spec.tokens_per_step / step, peak_flops(device, spec.config["precision"])
    return {
        "tokens_per_second": round(speed),
        "mfu": round(speed * spec.flops_per_token / peak, 4) if peak else None,
        "gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if device.type == "cuda" else None,
    }


def _module(spec: RunSpec, device: torch.device, compiled: bool) -> LanguageModel:
    module = language_model(spec).to(device).train()
    if compiled:
        module.__dict__["apply_gpt"] = torch.compile(module.gpt)
    return module


def _batch(spec: RunSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    shape = (spec.micro_batch_size, spec.config["model"]["seq_len"] + 1)
    tokens = torch.randint(spec.tokens.info.vocab_size, shape).to(device)
    return tokens[:, :-1], tokens[:, 1:]


def _backward(module: LanguageModel, batch: tuple[Tensor, Tensor], spec: RunSpec) -> None:
    with autocast(batch[0].device.type, spec.config["precision"]):
        loss = module.training_step(batch, 0)
    loss.backward()


def _update(module: LanguageModel, optimizer: torch.optim.Optimizer, spec: RunSpec) -> None:
    module.configure_gradient_clipping(optimizer, spec.config["gradient_clip"])
    optimizer.step()
    module.adapt()
    optimizer.zero_grad()


def _timed(device: torch.device, act: Any) -> float:
    synchronize(device)
    began = time.perf_counter()
    act()
    synchronize(device)
    return time.perf_counter() - began


def recompilations(bench: Bench) -> Iterator[dict[str, Any]]:
    """Graphs compiled over a whole schedule: warm-up, stretch, branches, decay, evaluations between."""
    if bench.over:
        return
    from torch._dynamo.utils import counters

    with tempfile.TemporaryDirectory() as folder:
        words = ("model=nano", "tokenizer=bytes", "norm=ln", "budget.steps=120", "schedule.warmup_steps=10")
        spec = bench.spec(*words, "evaluation.points=8", "evaluation.tokens=4096")
        spec = prepare({**spec.config, "trainer": {**spec.config["trainer"], "compile": not bench.tiny}})
        counters.clear()
        with _quiet():
            run(spec, Path(folder), [])
        stats = dict(counters["stats"])
        breaks = sum(counters["graph_break"].values())
    graphs = int(stats.get("unique_graphs", 0))
    yield {"steps": spec.total_steps, "branches": len(spec.branches()), "graphs": graphs, "graph_breaks": breaks}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log of a run."""
    import logging

    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def measure(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """All tables, by name; each row is printed when it is there."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for found in (recompilations, members, speeds):
        rows = tables.setdefault(found.__name__, [])
        for row in found(bench):
            print(f"{found.__name__}: {row}", flush=True)
            rows.append(row)
    return tables


def text(tables: dict[str, list[dict[str, Any]]], machine: str, seconds: float) -> str:
    """As Markdown, a line of JSON last."""
    lines = [f"# {machine}, {datetime.now(UTC):%Y-%m-%d}", ""]
    lines += [f"Command: `make gpu-bench`; {seconds:.0f} s; torch {torch.__version__}, CUDA {torch.version.cuda}.", ""]
    for name, rows in tables.items():
        if rows:
            lines += [f"## {name}", "", "| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
            lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
            lines += [""]
    written = {"machine": machine, "seconds": round(seconds), "members_target": MEMBERS_TARGET, **tables}
    return "\n".join([*lines, "```json", json.dumps(written), "```", ""])


def main() -> int:
    """Measure, print and write; 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes at which the code is tested")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("error: make gpu-bench needs a CUDA GPU and a torch build for it", file=sys.stderr)
        return 2
    began, device = time.monotonic(), torch.device(options.device)
    tables = measure(Bench(device, options.tiny, began + SECONDS))
    written = text(tables, device_name(device), time.monotonic() - began)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"gpu-bench-{device_name(device).replace(' ', '-')}.md"
    path.write_text(written, encoding="utf-8")
    print(f"\n{written}\nWritten to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
