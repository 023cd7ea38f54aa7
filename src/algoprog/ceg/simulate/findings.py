"""Synthetic sweeps of many variants at the level of ln CEG, for tests and for the benchmark of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.seeds.findings import findings, p_values
from algoprog.ceg.seeds.pool import pool_of
from algoprog.ceg.seeds.sample import Error, Paired, Sample


@dataclass(frozen=True)
class Sweeps:
    """Sweeps of variants that are all compared with one baseline; single runs scatter by an sd of 1.

    The first `gains` variants have a true gain of `size` sds of a pair. `baseline` is the sd of the baseline's runs:
    1 where it scatters as its variants do, 0 where the pairs are independent of each other. `uneven` is the sd of the
    ln of the variants' own sds.
    """

    variants: int = 20
    seeds: int = 3
    gains: int = 0
    size: float = 2.0
    baseline: float = 1.0
    uneven: float = 0.0

    @property
    def true(self) -> frozenset[str]:
        """The variants that have a gain."""
        return frozenset(f"arm{n}" for n in range(self.gains))

    def draw(self, rng: np.random.Generator) -> dict[str, Sample]:
        """The samples of one sweep."""
        spread = np.exp(self.uneven * rng.normal(size=(self.variants, 1)))
        pair = np.sqrt(spread**2 + self.baseline**2)
        truth = self.size * pair * (np.arange(self.variants) < self.gains)[:, None]
        arms = truth + spread * rng.normal(size=(self.variants, self.seeds))
        logs = arms - self.baseline * rng.normal(size=self.seeds)
        return {f"arm{n}": Paired({s: float(v) for s, v in enumerate(row)}) for n, row in enumerate(logs)}


def found_in(samples: Mapping[str, Sample], pair_sd: float = float(np.sqrt(2))) -> frozenset[str]:
    """The findings of a sweep; one seed is tested by the sd of a pair, which is then known."""
    known = Error(pair_sd, float("inf"), borrowed=True)
    lent = {name: known if sample.runs == 1 else None for name, sample in samples.items()}
    return findings(p_values(samples, pool_of(samples), lent, {}))
