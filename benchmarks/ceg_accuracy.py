"""Bias, RMSE and interval coverage of every estimator on synthetic curves with a known gain.

The truth is the gain at annealed ends. Run by `make ceg-accuracy`; prints Markdown tables and, last, whether iso_loss
is as accurate as it must be wherever ends are given. What every estimator makes of runs without them stands beside it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of one thread each; small matrices gain nothing from more

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import ESTIMATORS, compute_gains
from algoprog.ceg.pairs.ends import BUDGET_MISMATCH, MID_SCHEDULE, join_budgets
from algoprog.ceg.simulate.curves import World

EXCESS = 0.1  # nats that annealing takes away


@dataclass(frozen=True)
class Setting:
    """A world and the budgets for which its runs are trained, as shares of the largest."""

    world: World
    budgets: tuple[float, ...] = (1.0,)

    def curves(self, rng: np.random.Generator, gain: float, variant: str, seed: int = 0) -> list[Curve]:
        """The runs of one variant and seed."""
        return [self.world.curve(rng, gain, variant, seed, budget) for budget in self.budgets]


THREE = (0.25, 0.5, 1.0)
ALONG = {
    "constant rate": Setting(World(told=True)),
    "constant rate, autocorrelated noise": Setting(World(told=True, memory=0.6)),
    "constant rate, uneven grids": Setting(World(told=True, grid="mixed")),
}
"""Every evaluation is an end."""

ENDS = {
    "6 branches": Setting(World(branches=6)),
    "3 branches": Setting(World(branches=3)),
    **{
        f"3 budgets, {name}": Setting(World(schedule=name, excess=EXCESS, told=True), THREE)
        for name in ("cosine", "linear", "late")
    },
}
"""Three to six ends a run."""

WITHOUT = {name: Setting(World(schedule=name, excess=EXCESS)) for name in ("cosine", "linear", "late")}
"""Runs along their schedules, with no word on where these end."""

GAINS = (0.5, 0.7, 1.0, 1.5, 2.0, 4.0)
NOISES = (0.003, 0.01, 0.02)
END_NOISES, END_GAINS = (0.002, 0.005), (0.7, 1.0, 1.5, 2.0)
SEEDS = (3, 5)
REPEATS = {"iso_loss": 60, "paper": 60, "closest_row": 60, "effective_speedup": 8, "scaling_fit": 8}
OFFSET = 0.005  # sd in nats of what a whole run is off by, for the coverage over seeds
COVERAGE_SWEEPS = 20
BIAS_ALONG, BIAS_ENDS = 0.01, 0.02
Cell = tuple[str, float, float]
Errors = dict[str, np.ndarray]


def accuracy(cell: Cell) -> tuple[Cell, Errors]:
    """Errors of ln CEG of every estimator in one cell of the grid; the same curves for all of them."""
    name, noise, gain = cell
    setting = _setting(name, noise)
    rng, truth = np.random.default_rng(int(100 * gain)), setting.world.truth(gain)
    errors: dict[str, list[float]] = {estimator: [] for estimator in ESTIMATORS}
    for repeat in range(max(REPEATS.values())):
        (base,), (arm,) = (join_budgets(setting.curves(rng, g, v)) for g, v in ((1.0, "none"), (gain, "arm")))
        for key, estimator in ESTIMATORS.items():
            if repeat < REPEATS[key]:
                errors[key].append(estimator(base, arm, "steps", "final").log_gain - truth)
    return cell, {key: np.array(values) for key, values in errors.items()}


def coverage(cell: Cell) -> tuple[Cell, dict[int, list[tuple[bool, bool]]]]:
    """Whether the interval of each iso_loss row over several seeds holds the truth, and whether the row is flagged."""
    name, noise, gain = cell
    setting = _setting(name, noise, OFFSET)
    held: dict[int, list[tuple[bool, bool]]] = {}
    for seeds in SEEDS:
        rng = np.random.default_rng(100 * seeds + int(100 * gain))
        held[seeds] = [_holds(setting, gain, seeds, rng) for _ in range(COVERAGE_SWEEPS)]
    return cell, held


def _setting(name: str, noise: float, offset: float = 0.0) -> Setting:
    setting = {**ALONG, **ENDS, **WITHOUT}[name]
    return replace(setting, world=replace(setting.world, noise=noise, offset=offset))


def _holds(setting: Setting, gain: float, seeds: int, rng: np.random.Generator) -> tuple[bool, bool]:
    arms = (("none", 1.0), ("arm", gain))
    curves = [run for seed in range(seeds) for name, g in arms for run in setting.curves(rng, g, name, seed)]
    row = compute_gains(curves, estimators=("iso_loss",), costs=("steps",))[-1]
    holds = row.ci_low is not None and row.ci_high is not None and row.ci_low <= gain <= row.ci_high
    return holds, bool({MID_SCHEDULE, BUDGET_MISMATCH} & set(row.flags))


def rmse(errors: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def accuracy_table(cells: dict[Cell, Errors], settings: Sequence[str]) -> list[str]:
    """One line a setting and estimator: the worst bias, RMSE, and RMSE relative to the paper's."""
    lines = [
        "| curves | estimator | worst bias | mean RMSE of ln CEG | RMSE / paper: mean | worst |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in settings:
        mine = [errors for cell, errors in cells.items() if cell[0] == name]
        for key in ESTIMATORS:
            ratios = [rmse(errors[key]) / rmse(errors["paper"]) for errors in mine]
            bias = max(abs(float(errors[key].mean())) for errors in mine)
            spread = float(np.mean([rmse(errors[key]) for errors in mine]))
            lines.append(f"| {name} | {key} | {bias:.1%} | {spread:.3f} | {np.mean(ratios):.2f} | {max(ratios):.2f} |")
    return lines


def without_table(cells: dict[Cell, Errors]) -> list[str]:
    """What every estimator makes of runs along their schedules: the gain that it reports, on average."""
    noise, gains = END_NOISES[0], [gain for gain in END_GAINS if gain != 1.0]
    lines = ["| curves | estimator | " + " | ".join(f"true {gain:g}" for gain in gains) + " |", "| --- " * 5 + "|"]
    for name in WITHOUT:
        for key in ESTIMATORS:
            found = [gain * np.exp(float(cells[name, noise, gain][key].mean())) for gain in gains]
            lines.append(f"| {name} | {key} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    return lines


def coverage_table(held: dict[Cell, dict[int, list[tuple[bool, bool]]]]) -> list[str]:
    """One line a setting: share of 90 % intervals that hold the truth, and of rows that are flagged."""
    lines = ["| curves | " + " | ".join(f"{n} seeds" for n in SEEDS) + " | flagged |", "| --- " * 4 + "|"]
    for name in dict.fromkeys(cell[0] for cell in held):
        shares = [_share(held, n, name) for n in SEEDS]
        flagged = np.mean(
            [flag for cell, rows in held.items() if cell[0] == name for n in SEEDS for _, flag in rows[n]]
        )
        lines.append(f"| {name} | " + " | ".join(f"{share:.0%}" for share in shares) + f" | {flagged:.0%} |")
    return lines


def _share(held: dict[Cell, dict[int, list[tuple[bool, bool]]]], seeds: int, *names: str) -> float:
    return float(np.mean([hit for cell, rows in held.items() if cell[0] in names for hit, _ in rows[seeds]]))


def verdicts(cells: dict[Cell, Errors], held: dict[Cell, dict[int, list[tuple[bool, bool]]]]) -> list[tuple[str, bool]]:
    """The accuracy that is asked of iso_loss wherever ends are given, and whether it is met.

    A mean over repeats has an error of its own; a bias counts as within its limit if it is so at two standard errors.
    """
    along = {cell: errors for cell, errors in cells.items() if cell[0] in ALONG}
    ratios = {cell: rmse(errors["iso_loss"]) / rmse(errors["paper"]) for cell, errors in along.items()}
    worst, mean = max(ratios, key=lambda cell: ratios[cell]), float(np.mean(list(ratios.values())))
    checks = [
        _unbiased("where every evaluation is an end", along, BIAS_ALONG),
        _unbiased("with three to six ends", {c: e for c, e in cells.items() if c[0] in ENDS}, BIAS_ENDS),
        (f"RMSE / paper {mean:.2f} on average, asked 0.6", mean <= 0.6),
        (f"RMSE / paper at worst {ratios[worst]:.2f} {worst}, asked 1.1", ratios[worst] <= 1.1),
    ]
    for seeds in SEEDS:
        share = _share(held, seeds, *ALONG, *ENDS)
        checks.append((f"90 % intervals over {seeds} seeds cover {share:.1%}, asked 85-95 %", 0.85 <= share <= 0.95))
    flags = {given: [f for c, rows in held.items() if (c[0] not in WITHOUT) == given for n in SEEDS for _, f in rows[n]]
             for given in (True, False)}  # fmt: skip
    checks.append((f"{np.mean(flags[True]):.1%} of rows with ends are flagged, asked none", not any(flags[True])))
    checks.append((f"{np.mean(flags[False]):.0%} of rows without ends are flagged, asked all", all(flags[False])))
    return checks


def _unbiased(where: str, cells: dict[Cell, Errors], limit: float) -> tuple[str, bool]:
    errors = [cell["iso_loss"] for cell in cells.values()]
    excess = max(abs(float(e.mean())) - 2 * float(e.std()) / np.sqrt(len(e)) for e in errors)
    largest = max(abs(float(e.mean())) for e in errors)
    return f"bias {where} within {limit:.0%} at two standard errors (largest mean {largest:.1%})", excess <= limit


def main(arguments: Sequence[str]) -> int:
    """Print the tables; 1 if something asked for is not met. `--details` adds every cell."""
    start = time.monotonic()
    grid = [(name, noise, gain) for name in ALONG for noise in NOISES for gain in GAINS]
    ends = [(name, noise, gain) for name in (*ENDS, *WITHOUT) for noise in END_NOISES for gain in END_GAINS]
    at_gains = [cell for cell in ends if cell[2] != 1.0 and cell[1] == END_NOISES[0]]
    with ProcessPoolExecutor(2) as pool:
        cells = dict(pool.map(accuracy, [*grid, *ends]))
        held = dict(pool.map(coverage, [*(cell for cell in grid if cell[1] == NOISES[0]), *at_gains]))
    print(*accuracy_table(cells, [*ALONG, *ENDS]), "", *coverage_table(held), "", *without_table(cells), "", sep="\n")
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
