"""How long a step of each variant of a sweep takes beside the baseline's, interleaved: what gains in seconds rest on.

    make step-times WORDS="baseline=gpt2 mixer=gated_deltanet,lstm optim=soap model=nano"

The words are those of a sweep. Of each variant one run is built, and all make a step in turn (forward, backward,
clipping, optimizer), on one thread, or on a GPU where there is one. A second model of the baseline runs beside the
first: it tells how far two equal ones are apart here. A gain in seconds is a gain in tokens over these ratios, which a
machine that trains other things at the same time does not spoil as it does the seconds of whole runs. The last line is
JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from algoprog import build
from algoprog.compose import compose
from algoprog.run.app import prepare
from algoprog.run.spec import RunSpec, language_model
from algoprog.runs.record import BASELINE
from algoprog.training.devices.allocator import keep_freed_memory
from algoprog.training.devices.hardware import device_name, synchronize
from algoprog.training.precision import autocast

ROUNDS, WARM_UP = 60, 10

CYCLE = 10
"""Steps that are timed as one: some optimizers do every tenth step what they do not in the others."""

AGAIN = f"{BASELINE} again"


class Stepping:
    """A run that makes steps on one batch of its own text, and how long they took."""

    def __init__(self, spec: RunSpec, device: torch.device) -> None:
        self.model = language_model(spec).to(device).train()
        self.optimizer = self.model.configure_optimizers()["optimizer"]
        windows = spec.train_windows()
        self.batches = [
            tuple(part.to(device) for part in torch.utils.data.default_collate([windows[i] for i in range(at, end)]))
            for at, end in _cut(spec.config["batch_size"], spec.micro_batch_size)
        ]
        self.clip, self.precision = spec.config["gradient_clip"], spec.config["precision"]
        self.device, self.seconds = device, list[float]()

    def step(self) -> None:
        """Make one step and note its seconds."""
        synchronize(self.device)
        began = time.perf_counter()
        self.optimizer.zero_grad()
        for index, batch in enumerate(self.batches):
            with autocast(self.device.type, self.precision):
                loss = self.model.training_step(batch, index) / len(self.batches)
            loss.backward()
        self.model.configure_gradient_clipping(self.optimizer, self.clip)
        self.optimizer.step()
        self.model.adapt()
        synchronize(self.device)
        self.seconds.append(time.perf_counter() - began)

    @property
    def median(self) -> float:
        """Seconds of a step, by the median of the cycles, the first of which is left out."""
        starts = range(WARM_UP, len(self.seconds), CYCLE)
        return statistics.median(sum(self.seconds[start : start + CYCLE]) for start in starts) / CYCLE


def _cut(batch: int, micro: int) -> list[tuple[int, int]]:
    return [(at, min(at + micro, batch)) for at in range(0, batch, micro)]


def one_run_a_variant(words: list[str]) -> dict[str, list[str]]:
    """The words of the first run of each variant of a sweep, as `algoprog plan` says them, the baseline's first."""
    plan = subprocess.run(
        [Path(sys.executable).with_name("algoprog"), "plan", "--format", "json", "--", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if plan.returncode:
        raise SystemExit(plan.stderr.strip().splitlines()[-1])
    found: dict[str, list[str]] = {}
    for run in json.loads(plan.stdout)["runs"]:
        found.setdefault(run["variant"], run["overrides"])
    return {BASELINE: found[BASELINE], AGAIN: found[BASELINE], **found}


def main() -> None:
    """Measure, and print a Markdown table."""
    torch.set_num_threads(1)
    keep_freed_memory()
    runs, device = {}, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name, words in one_run_a_variant(sys.argv[1:]).items():
        runs[name] = Stepping(prepare(build.resolve(compose(words))), device)
    for _ in range(WARM_UP + ROUNDS):
        for run in runs.values():
            run.step()
    base = runs[BASELINE].median
    ratios = {name: run.median / base for name, run in runs.items()}
    print("| variant | ms a step | times the baseline's |\n| --- | --- | --- |")
    for name, run in runs.items():
        print(f"| {name} | {1e3 * run.median:.1f} | {ratios[name]:.2f} |")
    print(json.dumps({"machine": device_name(device), "words": sys.argv[1:], "ratios": ratios}))


if __name__ == "__main__":
    main()
