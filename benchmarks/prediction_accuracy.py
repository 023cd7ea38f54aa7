"""Error and interval coverage of predicted gains on synthetic ladders whose gains are known, beside naive guesses.

Prints a Markdown table, a line a ladder and law: mean error of ln CEG of the law, of "as at the largest fitted model"
and of "no gain", the share of 90 % intervals that hold the true gain, and the same share for the predicted loss.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices gain nothing from more

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from algoprog.ceg.ladder.predict import Prediction, predict
from algoprog.ceg.simulate.ladder import ARMS, Ladder

LADDERS = {
    "2 models, 1 seed": Ladder(models=3, seeds=1),
    "2 models, 3 seeds": Ladder(models=3, seeds=3),
    "3 models, 3 seeds": Ladder(models=4, seeds=3),
    "2 models, 3 seeds, offset 0.01": Ladder(models=3, seeds=3, offset=0.01),
    "2 models, 3 seeds, gains walk": Ladder(models=3, seeds=3, walk=0.05),
    "3 models, 3 seeds, gains walk": Ladder(models=4, seeds=3, walk=0.05),
    "3 models, 3 seeds, 5 branches": Ladder(models=4, seeds=3, branches=5),
    "3 models, 1 seed, 5 branches": Ladder(models=4, seeds=1, branches=5),
}
REPEATS = {"compute": 24, "params_data": 8}  # the second takes a second a ladder
Case = tuple[str, str, int]


def score(case: Case) -> tuple[Case, list[tuple[float, ...]]]:
    """For each variant of one simulated ladder: three errors, whether the intervals hold the true gain and loss."""
    name, law, repeat = case
    ladder = LADDERS[name]
    rng = np.random.default_rng(repeat)
    steps = ladder.steps(rng)
    found = predict(ladder.curves(rng, steps), law=law)  # type: ignore[arg-type]
    return case, [_score(ladder, float(steps[row.variant][-1]), row) for row in found]


def _score(ladder: Ladder, step: float, row: Prediction) -> tuple[float, ...]:
    last = ladder.models - 1
    truth = ladder.log_gain(ARMS[row.variant], last, step)
    largest = row.log_gain_largest
    inside = row.ceg_low is not None and row.ceg_high is not None and row.ceg_low <= np.exp(truth) <= row.ceg_high
    loss = float(ladder.loss(ARMS[row.variant], last, ladder.sizes(last)[1], step))
    held = row.loss_low is not None and row.loss_high is not None and row.loss_low <= loss <= row.loss_high
    return abs(np.log(row.ceg or np.inf) - truth), abs(largest - truth), abs(truth), inside, held, abs(row.loss - loss)


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 where a law does not match the naive predictors on average. `--arms` adds every variant."""
    start = time.monotonic()
    cases = [
        (name, law, repeat)
        for name, ladder in LADDERS.items()
        for law in (("compute", "params_data") if ladder.branches else ("compute",))
        for repeat in range(REPEATS[law])
    ]
    with ProcessPoolExecutor(2) as pool:
        found = dict(pool.map(score, cases, chunksize=4))
    print("| fitted | law | law off | as at largest | no gain | gain inside | loss inside | loss off |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    good = True
    for name, law in dict.fromkeys(case[:2] for case in cases):
        rows = np.array([row for case, rows in found.items() if case[:2] == (name, law) for row in rows], float)
        law_off, same, none, inside, held, off = rows.mean(0)
        good &= bool(law_off <= 1.02 * min(same, none))
        print(f"| {name} | {law} | {law_off:.3f} | {same:.3f} | {none:.3f} | {inside:.0%} | {held:.0%} | {off:.3f} |")
    if "--arms" in arguments:
        _by_arm(found)
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0 if good else 1


def _by_arm(found: dict[Case, list[tuple[float, ...]]]) -> None:
    arms = [name for name in ARMS if name != "none"]
    for key in dict.fromkeys(case[:2] for case in found):
        rows = np.array([rows for case, rows in found.items() if case[:2] == key], float).mean(0)
        print(key, {arm: [round(float(v), 3) for v in row[:4]] for arm, row in zip(arms, rows, strict=True)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
