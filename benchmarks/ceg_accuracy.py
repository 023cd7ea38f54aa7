"""Bias, RMSE and interval coverage of every estimator on synthetic curves with a known gain.

Run by `make ceg-accuracy`; prints Markdown tables and, last, whether iso_loss is as accurate as it must be.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of one thread each; small matrices gain nothing from more

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from algoprog.ceg.gains import ESTIMATORS
from algoprog.ceg.intervals import interval_of, log_interval
from algoprog.ceg.seeds.sample import Error
from algoprog.ceg.simulate.curves import World

WORLDS = {
    "power law": World(),
    "cosine knee": World(shape="cosine"),
    "autocorrelated noise": World(memory=0.6),
    "uneven grids": World(grid="mixed"),
}
GAINS = (0.5, 0.7, 1.0, 1.5, 2.0, 4.0)
NOISES = (0.003, 0.01, 0.02)
SEEDS = (1, 3, 5)
REPEATS = {"iso_loss": 100, "paper": 100, "closest_row": 100, "effective_speedup": 12, "scaling_fit": 12}
OFFSET = 0.005  # sd in nats of what a whole run is off by, for the coverage over seeds
COVERAGE_PAIRS = 120
CONFIDENCE = 0.9
Cell = tuple[str, float, float]


def accuracy(cell: Cell) -> tuple[Cell, dict[str, np.ndarray]]:
    """Errors of ln CEG of every estimator in one cell of the grid; the same curves for all of them."""
    name, noise, gain = cell
    world = replace(WORLDS[name], noise=noise)
    rng, truth = np.random.default_rng(GAINS.index(gain)), world.truth(gain)
    errors: dict[str, list[float]] = {estimator: [] for estimator in ESTIMATORS}
    for repeat in range(max(REPEATS.values())):
        base, arm = world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")
        for key, estimator in ESTIMATORS.items():
            if repeat < REPEATS[key]:
                errors[key].append(estimator(base, arm, "steps", "final").log_gain - truth)
    return cell, {key: np.array(values) for key, values in errors.items()}


def coverage(cell: Cell) -> tuple[Cell, dict[int, list[bool]]]:
    """Whether each interval of iso_loss holds the truth: one seed without offsets, several with them."""
    name, noise, gain = cell
    truth = replace(WORLDS[name], noise=noise).truth(gain)
    held: dict[int, list[bool]] = {}
    for seeds in SEEDS:
        world = replace(WORLDS[name], noise=noise, offset=OFFSET if seeds > 1 else 0.0)
        rng = np.random.default_rng(100 * seeds + GAINS.index(gain))
        held[seeds] = [_holds(world, gain, truth, seeds, rng) for _ in range(COVERAGE_PAIRS // (2 + seeds))]
    return cell, held


def _holds(world: World, gain: float, truth: float, seeds: int, rng: np.random.Generator) -> bool:
    pairs = [(world.curve(rng, 1.0, "none"), world.curve(rng, gain, "arm")) for _ in range(seeds)]
    found = [ESTIMATORS["iso_loss"](base, arm, "steps", "final") for base, arm in pairs]
    logs = [one.log_gain for one in found]
    interval = log_interval(logs, CONFIDENCE) or interval_of(logs[0], Error(found[0].log_sd, np.inf), CONFIDENCE)
    return interval is not None and interval[0] <= truth <= interval[1]


def rmse(errors: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def accuracy_table(cells: dict[Cell, dict[str, np.ndarray]]) -> list[str]:
    """One line a world and estimator: the worst bias, RMSE, and RMSE relative to the paper's, over gains and noises."""
    lines = [
        "| curves | estimator | worst bias | mean RMSE of ln CEG | RMSE / paper: mean | worst |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for world in WORLDS:
        mine = [errors for cell, errors in cells.items() if cell[0] == world]
        for key in ESTIMATORS:
            ratios = [rmse(errors[key]) / rmse(errors["paper"]) for errors in mine]
            bias = max(abs(float(errors[key].mean())) for errors in mine)
            spread = float(np.mean([rmse(errors[key]) for errors in mine]))
            lines.append(f"| {world} | {key} | {bias:.1%} | {spread:.3f} | {np.mean(ratios):.2f} | {max(ratios):.2f} |")
    return lines


def coverage_table(cells: dict[Cell, dict[int, list[bool]]]) -> list[str]:
    """One line a world: share of 90 % intervals that hold the truth."""
    lines = ["| curves | " + " | ".join(f"{n} seed(s)" for n in SEEDS) + " |", "| --- |" + " --- |" * len(SEEDS)]
    for world in WORLDS:
        shares = [np.mean([hit for cell, held in cells.items() if cell[0] == world for hit in held[n]]) for n in SEEDS]
        lines.append(f"| {world} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return lines


def verdicts(
    cells: dict[Cell, dict[str, np.ndarray]], held: dict[Cell, dict[int, list[bool]]]
) -> list[tuple[str, bool]]:
    """The accuracy that is asked of iso_loss, and whether it is met over the whole grid.

    A mean over repeats has an error of its own; a bias counts as within 1 % if it is so at two standard errors.
    """
    ratios = {cell: rmse(errors["iso_loss"]) / rmse(errors["paper"]) for cell, errors in cells.items()}
    iso = [errors["iso_loss"] for errors in cells.values()]
    excess = [abs(float(e.mean())) - 2 * float(e.std()) / np.sqrt(len(e)) for e in iso]
    largest = max(abs(float(e.mean())) for e in iso)
    worst = max(ratios, key=lambda cell: ratios[cell])
    shares = {n: float(np.mean([hit for hits in held.values() for hit in hits[n]])) for n in SEEDS}
    return [
        (
            f"bias of iso_loss within 1 % at two standard errors in every cell (largest mean {largest:.1%})",
            max(excess) <= 0.01,
        ),
        (
            f"RMSE / paper {np.mean(list(ratios.values())):.2f} on average, asked 0.6",
            np.mean(list(ratios.values())) <= 0.6,
        ),
        (f"RMSE / paper at worst {ratios[worst]:.2f} {worst}, asked 1.1", ratios[worst] <= 1.1),
        *(
            (f"90 % intervals over {n} seeds cover {shares[n]:.1%}, asked 85-95 %", 0.85 <= shares[n] <= 0.95)
            for n in SEEDS
            if n > 1
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the tables; 1 if something asked for is not met. `--details` adds every cell."""
    start = time.monotonic()
    grid = [(world, noise, gain) for world in WORLDS for noise in NOISES for gain in GAINS]
    with ProcessPoolExecutor(2) as pool:
        cells = dict(pool.map(accuracy, grid))
        held = dict(pool.map(coverage, grid))
    print(*accuracy_table(cells), "", *coverage_table(held), "", sep="\n")
    if "--details" in arguments:
        for cell, errors in cells.items():
            iso, paper = errors["iso_loss"], errors["paper"]
            print(cell, f"bias {iso.mean():+.1%} paper {paper.mean():+.1%} ratio {rmse(iso) / rmse(paper):.2f}")
    checks = verdicts(cells, held)
    for text, met in checks:
        print(f"- {'met' if met else 'NOT MET'}: {text}")
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0 if all(met for _, met in checks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
