"""Where the best learning rate lies at each width: muP beside the usual initial weights.

    python benchmarks/mup_transfer.py                                  # nano, micro and mini, hours on two cores
    python benchmarks/mup_transfer.py --models nano micro --steps 100  # tens of minutes

Every model is trained at every rate of one grid from the same seeds, with the same batches. A table of final losses and
of the best rate (the vertex of a parabola through the best point of the grid and its neighbours, in log2 of the rate)
is printed, and the line of JSON at the end is for programs; --out keeps what was measured after every run, and goes on
from it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from statistics import fmean

import torch

from algoprog import build
from algoprog.compose import compose
from algoprog.run.app import prepare
from algoprog.run.fit import run
from algoprog.runs.store import write_atomic
from algoprog.training.devices.hardware import device_name

INITS = ("gpt2", "mup")
RATES = tuple(2.0**power for power in range(-11, -3))
WORDS = ("norm=ln", "schedule.branches=1", "evaluation.points=2", "evaluation.tokens=16384", "trainer=cpu")

Losses = dict[str, float]
"""Final losses in nats by the words of a run."""


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="of every run, as train.py takes them")
    parser.add_argument("--models", nargs="+", default=["nano", "micro", "mini"])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, help="JSON of losses, to go on from")
    options = parser.parse_args()
    known: Losses = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    table = {}
    for init in INITS:
        for model in options.models:
            losses = []
            for rate in options.rates:
                each = [_loss(_words(options, init, model, rate, seed), known, options.out) for seed in options.seeds]
                losses.append(fmean(each))
            table[f"{init} {model}"] = losses
            print(_row(f"{init} {model}", options.rates, losses), flush=True)
    print(json.dumps({"machine": device_name(torch.device("cpu")), "rates": options.rates, "losses": table}))


def _words(options: argparse.Namespace, init: str, model: str, rate: float, seed: int) -> list[str]:
    own = [f"init={init}", f"model={model}", f"optim.lr={rate!r}", f"seed={seed}", f"budget.steps={options.steps}"]
    return [*WORDS, *options.words, *own]


def _loss(words: list[str], known: Losses, out: Path | None) -> float:
    """The final loss of a run, infinite of one that diverged; trained unless it is known."""
    key = " ".join(words)
    if key not in known:
        with tempfile.TemporaryDirectory() as folder:
            record = run(prepare(build.resolve(compose(words))), Path(folder), words)
        finite = record.final_val_loss is not None and math.isfinite(record.final_val_loss)
        known[key] = record.final_val_loss if finite and record.final_val_loss is not None else math.inf
        if out is not None:
            write_atomic(out, json.dumps(known, indent=1))
    return known[key]


def _row(name: str, rates: list[float], losses: list[float]) -> str:
    shown = " ".join(f"{loss:7.3f}" for loss in losses)
    return f"{name:12s} {shown}   best 2^{_best(rates, losses):+.2f}"


def _best(rates: list[float], losses: list[float]) -> float:
    """Log2 of the best rate; at an end of the grid, or beside a run that diverged, that of the grid."""
    at = min(range(len(losses)), key=losses.__getitem__)
    logs = [math.log2(rate) for rate in rates]
    if not 0 < at < len(rates) - 1 or not math.isfinite(losses[at - 1] + losses[at + 1]):
        return logs[at]
    (a, b, c), (x, y, z) = losses[at - 1 : at + 2], logs[at - 1 : at + 2]
    down, up = (b - a) / (y - x), (c - b) / (z - y)
    return (x + y) / 2 - down * (z - x) / 2 / (up - down) if up != down else y


if __name__ == "__main__":
    main()
