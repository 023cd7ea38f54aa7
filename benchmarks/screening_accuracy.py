"""How often a screen drops what lies at its gate, and what it saves, in simulated sweeps of 8 variants over 3 models.

Run by `make screening-accuracy`; prints a Markdown table and, last, whether screens err as rarely as they must.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from math import log

from algoprog.ceg.screening.rule import Screen
from algoprog.ceg.simulate.screening import Screening, rates

REPEATS = int(os.environ.get("REPEATS", "2000"))
GATE, LOOKS, ERROR = 1.05, (2, 3, 5), 0.1
AT_GATE = (log(GATE),) * 8
WORLDS = {
    "at the gate, runs scatter alike": Screening(AT_GATE),
    "at the gate, independent pairs": Screening(AT_GATE, shared=0.0),
    "at the gate, baseline scatters half": Screening(AT_GATE, shared=0.2),
    "at the gate, baseline scatters twice": Screening(AT_GATE, shared=0.8),
    "at the gate, variants differ (sd of ln sd 0.3)": Screening(AT_GATE, uneven=0.3),
    "at the gate, one variant": Screening(AT_GATE[:1]),
    "at the gate, four variants": Screening(AT_GATE[:4]),
    "gain 0.9": Screening((log(0.9),) * 8),
    "gain 1 (null)": Screening((0.0,) * 8),
    "gain 1.2": Screening((log(1.2),) * 8),
    "two of 0.9, four of 1, two of 1.2": Screening((log(0.9),) * 2 + (0.0,) * 4 + (log(1.2),) * 2),
}
Cell = tuple[str, str]


def measure(cell: Cell) -> tuple[Cell, float, float]:
    """Share of variants dropped and of compute saved, on average over sweeps."""
    name, spending = cell
    found = rates(WORLDS[name], Screen(GATE, LOOKS, ERROR, spending), REPEATS)
    return cell, sum(found.dropped) / len(found.dropped), found.saved


def main() -> int:
    """Print the table; 1 if something asked for is not met."""
    start = time.monotonic()
    cells = [(name, spending) for spending in ("obrien_fleming", "pocock") for name in WORLDS]
    found = {}
    with ProcessPoolExecutor(2) as pool:
        for cell, *shares in pool.map(measure, cells):
            found[cell] = shares
            print(*cell, *(f"{share:.1%}" for share in shares), file=sys.stderr, flush=True)
    print("| variants of a true gain | obrien_fleming: dropped | compute saved | pocock: dropped | compute saved |")
    print("| --- | --- | --- | --- | --- |")
    for name in WORLDS:
        shares = (*found[name, "obrien_fleming"], *found[name, "pocock"])
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    limits = {
        cell: share
        for cell, (share, _) in found.items()
        if cell[0].startswith("at the gate") and "twice" not in cell[0]
    }
    missed = [cell for cell, share in limits.items() if share > ERROR]
    print(f"\n- {'NOT MET' if missed else 'met'}: dropped at the gate in at most {ERROR:.0%} of sweeps {missed or ''}")
    print(f"\n{REPEATS} sweeps each, {time.monotonic() - start:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
