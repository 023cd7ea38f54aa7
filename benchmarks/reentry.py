"""How long a finished sweep of 200 runs takes to be entered again: planned, found complete, analysed.

The report is drawn again only where something has changed that it shows, or the sources have changes not committed.

Run by `make engine-reentry`. The runs are never trained: their records are written through the store, with curves that
follow a power law. The targets are 5 seconds on two quiet cores, and 60 for 2,000 runs (`--seeds 50`).
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from itertools import product
from pathlib import Path

from omegaconf import OmegaConf

from algoprog import build
from algoprog.compose import compose
from algoprog.run.provenance import environment
from algoprog.run.spec import RunSpec
from algoprog.runs.record import COMPARE, CONFIG_FILE, FINISHED, Record
from algoprog.runs.store import append_curve, write_atomic, write_record
from algoprog.sweep.plan.plan import plan
from algoprog.variant import option, protocol

ROOT = Path(__file__).resolve().parents[1]
TARGET_SECONDS = {5: 5.0, 50: 60.0}
"""By seeds."""
CHOICES = {
    "attention": ("dense", "mqa", "gqa", "sparse"),
    "norm": ("none", "ln"),
    "model": ("nano", "micro", "mini", "small", "medium"),
}
POINTS = 20


def main() -> int:
    """Write the runs, enter the sweep, and say what took how long; the exit code is 1 above the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, choices=tuple(TARGET_SECONDS), default=5, help="of each of 40 variants")
    options = parser.parse_args()
    choices = {**CHOICES, "seed": tuple(range(options.seeds))}
    target = TARGET_SECONDS[options.seeds]
    jobs = [
        [f"{key}={value}" for key, value in zip(choices, values, strict=True)] for values in product(*choices.values())
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planned = plan(jobs, compose, sweep_dir=folder, reuse=None)
        for spec, overrides in planned.todo:
            _write(folder / spec.name, spec, overrides)
        words = [f"{key}={','.join(map(str, values))}" for key, values in choices.items()]
        command = ("train.py", "-m", *words, f"hydra.sweep.dir={folder}")
        drawn, _, printed = _timed(*command)
        assert f"0 to train, {len(jobs)} finished before" in printed, printed
        whole, processor, again = _timed(*command)
        assert again == printed, again
    print(f"{len(jobs)} runs, load {os.getloadavg()[0]:.1f}")
    print(
        f"entered again, found complete and analysed in {whole:.1f} s (target {target:.0f} s),"
        f" {processor:.1f} s of processor time"
    )
    drawing = "and the report drawn, as after a change" if environment()["git_dirty"] is False else "drawn both times"
    print(f"the first time, {drawing}: {drawn:.1f} s")
    return int(whole > target)


def _write(folder: Path, spec: RunSpec, overrides: list[str]) -> None:
    """A finished run whose loss is a power law of the tokens, a little lower for richer variants."""
    noise = random.Random(spec.run_id)
    rows = []
    for point in range(POINTS + 1):
        step = spec.total_steps * point // POINTS
        tokens = step * spec.tokens_per_step
        loss = 2 + (4 + 0.1 * len(spec.variant)) * (1 + tokens / 1e4) ** -0.12 + noise.gauss(0, 0.004)
        rows.append(
            {
                "step": step,
                "tokens": tokens,
                "flops": tokens * spec.flops_per_token,
                "seconds": step * 0.01,
                "train_loss": loss,
                "val_loss": loss,
                "val_perplexity": math.exp(loss),
                "val_bits_per_byte": loss / math.log(2) / 3,
                "lr": 1e-3,
                "annealed": 0,
            }
        )
    write_atomic(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(spec.config)))
    for row in rows:
        append_curve(folder, row)
    write_record(folder, _record(spec, overrides, rows[-1]))


def _record(spec: RunSpec, overrides: list[str], last: dict[str, float]) -> Record:
    shared = {field.name: getattr(spec, field.name) for field in fields(Record) if hasattr(spec, field.name)}
    written = {
        "axes": {axis: option(spec.config[axis]) for axis in build.axes_of(spec.config)},
        "choices": {},
        "baseline": "gpt2_paper",
        "against": {},
        "status": FINISHED,
        "reason": None,
        "steps": last["step"],
        "tokens": last["tokens"],
        "train_flops": last["flops"],
        "seconds": last["seconds"],
        "final_val_loss": last["val_loss"],
        "min_val_loss": last["val_loss"],
        "min_val_step": last["step"],
        "optimizer_flops": 0.0,
        "n_active_params": spec.n_active_params,
        "n_devices": 1,
        "facts": spec.facts,
        "stats": {},
        "train_flops_per_token": spec.flops_per_token,
        "corpus_passes": 1.0,
        "tokens_per_second": 1e4,
        "mfu": None,
        "peak_memory_bytes": 0,
        "data": spec.tokens.info,
        "flags": (),
        "context": {},
        "overrides": tuple(overrides),
        "environment": {**environment(), "device": "none", "n_devices": 1, "threads": 1, "dead_parameters": []},
        "protocol": protocol(spec.config),
        "role": COMPARE,
        "beside": None,
        "created": "2026-01-31T12:00:00+00:00",
    }
    return Record(**{**shared, **written})


def _timed(*words: str) -> tuple[float, float, str]:
    """Wall-clock and processor seconds of a Python command, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = subprocess.run([sys.executable, *words], cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime - before.ru_utime, result.stdout


if __name__ == "__main__":
    sys.exit(main())
