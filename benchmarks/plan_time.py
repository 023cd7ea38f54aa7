"""How near the time and memory of a plan come to what then happens: ten unlike sweeps, planned cold, then trained.

    python benchmarks/plan_time.py                      # `make plan-time`, a quarter of an hour on two quiet cores
    python benchmarks/plan_time.py --only nano tuned    # some of them

Time is that of the whole command, from Python's start to the report; memory is the peak of each run's process. Before a
plan what was calibrated is forgotten, and it sees no finished run. The targets are ratios within a quarter of one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from algoprog.runs.record import RECORD_FILE
from algoprog.sweep.engine.devices import cores
from algoprog.sweep.engine.together import FILE as MEMBERS
from algoprog.sweep.plan.calibration import FILE as CALIBRATION
from algoprog.training.devices.hardware import device_name

ROOT = Path(__file__).resolve().parents[1]
NEAR = 1.25
"""A plan is near where neither it nor what happens is more than so many times the other."""

COMMAND = "import sys; from algoprog.cli import main; sys.exit(main())"

SMALL = ("model=nano", "model.seq_len=128", "batch_size=8")
FEW = ("evaluation.points=6", "evaluation.tokens=16384")
WIDTH_16 = ("model.n_layers=1", "model.d_model=16", "model.n_heads=2", "model.seq_len=32", "batch_size=4")

SWEEPS: dict[str, tuple[str, ...]] = {
    "nano": (*SMALL, *FEW, "norm=none,ln", "seed=0,1", "budget.steps=400"),
    "evaluated": (*SMALL, "variant=none,rope", "seed=0,1", "budget.steps=150"),
    "micro": ("model=micro", *FEW, "batch_size=8", "seed=0,1", "kernel=flash", "budget.steps=80"),
    "mini": ("model=mini", *FEW, "batch_size=4", "seed=0", "attention=dense,mqa", "budget.steps=30"),
    "bytes": ("model=nano", *FEW, "tokenizer=bytes", "attention=dense,mqa", "seed=0,1", "budget.steps=100"),
    "tuned": (*SMALL, *FEW, "tune=lr", "norm=none,ln", "seed=0", "budget.steps=120"),
    "no branches": (*SMALL, *FEW, "schedule=cosine", "mlp=gelu,swiglu", "seed=0,1,2", "budget.steps=300"),
    "one at a time": (*SMALL, *FEW, "hydra.launcher.runs=1", "seed=0,1,2", "budget.steps=250"),
    "accumulated": ("model=nano", *FEW, "micro_batch_size=4", "optim=adamw,muon", "seed=0", "budget.steps=120"),
    "members": (
        *WIDTH_16,
        *FEW,
        "tokenizer=bytes",
        "hydra.launcher.together=4",
        "seed=0,1,2,3,4,5,6,7",
        "budget.steps=1500",
    ),
}
"""Words of each, which take about a minute on two cores."""


@dataclass(frozen=True)
class Row:
    """One sweep; ratios are plan over measurement."""

    name: str
    runs: int  # that were trained
    planned_seconds: float
    seconds: float
    memory_ratios: list[float]  # of every run whose peak is known
    planning_seconds: float

    @property
    def ratio(self) -> float:
        """Of time."""
        return self.planned_seconds / self.seconds

    @property
    def near(self) -> bool:
        """Whether time and memory are within the targets."""
        return all(1 / NEAR <= ratio <= NEAR for ratio in (self.ratio, *self.memory_ratios))


def main() -> int:
    """Plan, train, compare; the exit code is 1 where a ratio misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--json", type=Path, default=Path("plan-time.json"))
    parser.add_argument("words", nargs="*", help="further words for all sweeps, such as budget.steps=20")
    options = parser.parse_args()
    rows = []
    print(f"{'sweep':<16}{'runs':>5}{'planned':>9}{'took':>8}{'ratio':>7}  memory", flush=True)
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_compared(name, [*SWEEPS[name], *options.words], Path(folder)))
        print(_line(rows[-1]), flush=True)
    _write(options.json, rows)
    return int(not all(row.near for row in rows))


def _compared(name: str, words: list[str], folder: Path) -> Row:
    cache = Path(os.environ.get("ALGOPROG_CACHE", "~/.cache/algoprog")).expanduser()
    for file in (CALIBRATION, MEMBERS):
        (cache / file).unlink(missing_ok=True)
    sweep = folder / "sweep"
    given = [*words, "trainer=cpu", f"hydra.sweep.dir={sweep}"]
    plan, planning = _timed("-c", COMMAND, "plan", *given, "--records", str(folder), "--format", "json")
    _, seconds = _timed(str(ROOT / "train.py"), "-m", *given)
    planned = json.loads(plan)
    records = {path.parent.name: json.loads(path.read_text()) for path in sweep.glob(f"*/{RECORD_FILE}")}
    peaks = {name: record["peak_memory_bytes"] for name, record in records.items() if record["peak_memory_bytes"]}
    ratios = [run["memory_bytes"] / peaks[run["name"]] for run in planned["runs"] if run["name"] in peaks]
    return Row(name, len(records), planned["totals"]["wall_seconds"], seconds, ratios, planning)


def _timed(*words: str) -> tuple[str, float]:
    """What a Python command prints, and its seconds."""
    began = time.perf_counter()
    result = subprocess.run([sys.executable, *words], cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(words)}: {result.stderr}")
    return result.stdout, time.perf_counter() - began


def _line(row: Row) -> str:
    memory = f"{min(row.memory_ratios):.2f} to {max(row.memory_ratios):.2f}" if row.memory_ratios else "not known"
    times = f"{row.planned_seconds:>7.0f} s{row.seconds:>6.0f} s{row.ratio:>7.2f}"
    return f"{row.name:<16}{row.runs:>5}{times}  {memory}{'' if row.near else '  MISSED'}"


def _write(path: Path, rows: list[Row]) -> None:
    where = {"processor": device_name(torch.device("cpu")), "cores": cores(), "load": os.getloadavg()[0]}
    written: list[dict[str, Any]] = [{**asdict(row), "ratio": round(row.ratio, 3), "near": row.near} for row in rows]
    text = json.dumps({"date": datetime.now(UTC).date().isoformat(), **where, "rows": written}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
