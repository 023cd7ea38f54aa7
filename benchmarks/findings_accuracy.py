"""False and missed findings in simulated sweeps of 20 variants.

Run by `make findings-accuracy`; prints a Markdown table and, last, whether findings are as sound as they must be.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from algoprog.ceg.simulate.findings import Sweeps, found_in

REPEATS = 2000
GAINS = 6
WORLDS = {
    "runs scatter alike": Sweeps(),
    "independent pairs": Sweeps(baseline=0.0),
    "baseline scatters half": Sweeps(baseline=0.5),
    "baseline scatters twice": Sweeps(baseline=2.0),
    "variants differ (sd of ln sd 0.3)": Sweeps(uneven=0.3),
}
SEEDS = (1, 3, 5)
ASKED = ("runs scatter alike", "independent pairs")
Cell = tuple[str, int]


def measure(cell: Cell) -> tuple[Cell, tuple[float, float, float]]:
    """Share of null sweeps with a finding; share of true gains found and of false findings where 6 of 20 are true."""
    name, seeds = cell
    world, rng = replace(WORLDS[name], seeds=seeds), np.random.default_rng(seeds)
    pair_sd = float(np.sqrt(1 + world.baseline**2))
    null = [bool(found_in(world.draw(rng), pair_sd)) for _ in range(REPEATS)]
    gains = replace(world, gains=GAINS)
    found = [found_in(gains.draw(rng), pair_sd) for _ in range(REPEATS)]
    power = [len(names & gains.true) / GAINS for names in found]
    false = [len(names - gains.true) / max(len(names), 1) for names in found]
    return cell, (float(np.mean(null)), float(np.mean(power)), float(np.mean(false)))


def main() -> int:
    """Print the table; 1 if something asked for is not met."""
    start = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        cells = dict(pool.map(measure, [(name, seeds) for name in WORLDS for seeds in SEEDS]))
    print("| sweeps of 20 | seeds | null sweeps with a finding | gains of 2 pair sds found | false among findings |")
    print("| --- | --- | --- | --- | --- |")
    for (name, seeds), shares in cells.items():
        print(f"| {name} | {seeds} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    checks = [
        (f"{name}, {seeds} seed(s): findings in null sweeps {cells[name, seeds][0]:.1%}, at most 12 %", value <= 0.12)
        for name in ASKED
        for seeds in SEEDS
        for value in cells[name, seeds][:1]
    ]
    checks += [
        (f"{name}, 3 seeds: {cells[name, 3][1]:.1%} found, at least 80 %", cells[name, 3][1] >= 0.8) for name in ASKED
    ]
    checks += [
        (f"{name}, 3 seeds: {cells[name, 3][2]:.1%} false, at most 10 %", cells[name, 3][2] <= 0.1) for name in ASKED
    ]
    print()
    for text, met in checks:
        print(f"- {'met' if met else 'NOT MET'}: {text}")
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0 if all(met for _, met in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
