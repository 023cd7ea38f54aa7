"""Which of many variants have a gain that luck does not explain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from algoprog.ceg.seeds.pool import SeedVariance
from algoprog.ceg.seeds.sample import Error, Sample

FALSE_SHARE = 0.10
"""Share of the findings of a family that may be false on average."""


def p_values(
    samples: Mapping[str, Sample],
    pool: SeedVariance,
    lent: Mapping[str, Error | None],
    readings: Mapping[str, Error | None],
) -> dict[str, float]:
    """Two-sided p-value of every variant's mean ln CEG, by the spread that its model's variants share.

    `readings` are errors that its seeds share, of reading costs between ends, beside that spread.

    A variant that scatters more than the others is tested by its own seeds as well, and the larger p-value stands.
    Variants of one seed are tested where a spread is `lent`, else left out.
    """
    found = {}
    for name, sample in samples.items():
        own = sample.own_error()
        error = lent.get(name) if own is None else pool.error(sample)
        tests = [error, own] if name in pool.apart else [error]
        values = [test.beside(readings.get(name)).p_value(sample.mean) for test in tests if test is not None]
        if values and np.isfinite(values).all():
            found[name] = max(values)
    return found


def findings(p: Mapping[str, float], share: float = FALSE_SHARE) -> frozenset[str]:
    """The variants whose gains are findings, of which on average no more than a share is false.

    Source: Benjamini and Hochberg 1995.
    """
    names = sorted(p, key=lambda name: p[name])
    passed = [rank for rank, name in enumerate(names, start=1) if p[name] <= share * rank / len(names)]
    return frozenset(names[: max(passed, default=0)])
