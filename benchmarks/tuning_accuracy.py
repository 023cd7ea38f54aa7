"""How well a gain is known once variant and baseline were each tuned: a variant without a gain, simulated.

    python benchmarks/tuning_accuracy.py [repetitions]

The rate is chosen by one seed, other seeds are compared. Prints the table of docs/estimators.md.
"""

from __future__ import annotations

import sys

from algoprog.ceg.simulate.tuning import PLACES, TRIALS, average


def main(repetitions: int = 500) -> None:
    """Print one line a number of trials, place of the best rate and rule of choice."""
    print("| trials | best rate | chosen by | mean CEG | 90 % intervals hold 1 | in the worst of 12 cells |")
    print("| --- | --- | --- | --- | --- | --- |")
    for quadratic in (False, True):
        for place in PLACES:
            for trials in TRIALS:
                mean, worst = average(trials, place, repetitions, quadratic=quadratic)
                rule = "quadratic" if quadratic else "lowest trial"
                row = f"| {trials} | {place} | {rule} | {mean.ceg:.3f} | {mean.coverage:.0%} | {worst:.0%} |"
                print(row, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
