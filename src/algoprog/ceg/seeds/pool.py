"""The spread of seeds, pooled over the variants of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from algoprog.ceg.curves import Array
from algoprog.ceg.seeds.sample import Error, Paired, Sample, Unpaired

ENOUGH = 3
"""Degrees of freedom from which on a spread is known well enough to be lent to a variant of one seed."""

NOISY, QUIET, APART = 0.05, 0.10, 0.01
"""Levels of the tests that the baseline scatters more, or less, than the variants, and that one variant scatters more.

Chosen by simulation (`make findings-accuracy`): false findings where all scatter alike, power where one does not."""


@dataclass(frozen=True)
class _Fit:
    """What two-way least squares (variant + seed) leave of cells: sum of squares and degrees, of all and by variant."""

    squares: float
    degrees: int
    rows: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, cells: Mapping[str, Mapping[int, float]]) -> _Fit:
        names, seeds = list(cells), sorted({seed for row in cells.values() for seed in row})
        if all(len(row) == len(seeds) for row in cells.values()):
            return cls._complete(names, np.array([[row[seed] for seed in seeds] for row in cells.values()]))
        index = [(i, seeds.index(seed), value) for i, name in enumerate(names) for seed, value in cells[name].items()]
        design = np.zeros((len(index), len(names) + len(seeds)))
        for line, (row, column, _) in enumerate(index):
            design[line, row] = design[line, len(names) + column] = 1.0
        u, singular, _ = np.linalg.svd(design, full_matrices=False)
        basis = u[:, singular > 1e-9 * singular[0]] if len(singular) else u
        values = np.array([value for *_, value in index])
        left = values - basis @ (basis.T @ values)
        free = 1 - (basis**2).sum(axis=1)
        owner = np.array([row for row, *_ in index])
        rows = {n: (float((left[owner == i] ** 2).sum()), float(free[owner == i].sum())) for i, n in enumerate(names)}
        return cls(float(left @ left), len(index) - basis.shape[1], rows)

    @classmethod
    def _complete(cls, names: Sequence[str], table: Array) -> _Fit:
        """The fit where no variant lacks a seed, by means."""
        left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
        squares = (left**2).sum(axis=1)
        return cls(
            float(squares.sum()),
            degrees,
            {n: (float(q), degrees / len(names)) for n, q in zip(names, squares, strict=True)},
        )


@dataclass(frozen=True)
class SeedVariance:
    """Variance of ln CEG between the seeds of a model: of a pair of one seed, and of a single run."""

    pair: Error | None  # of one pair
    run: Error | None  # of one run
    apart: frozenset[str] = frozenset()  # variants that scatter more than the others

    def error(self, sample: Sample) -> Error | None:
        """The error of a variant's mean by this spread; None where it is not known."""
        one = self.pair if isinstance(sample, Paired) else self.run
        if one is None and isinstance(sample, Paired):
            return _scaled(self.run, np.sqrt(2 / sample.runs))
        return _scaled(one, np.sqrt((1 if isinstance(sample, Paired) else 2) / sample.runs))

    def lent(self, sample: Sample) -> Error | None:
        """The error for a variant that has none of its own; None where fewer than 3 degrees of freedom know it."""
        pair, run = (error if error and error.degrees >= ENOUGH else None for error in (self.pair, self.run))
        error = SeedVariance(pair, run).error(sample)
        return None if error is None else Error(error.standard, error.degrees, borrowed=True)


def _scaled(error: Error | None, factor: float) -> Error | None:
    return None if error is None else Error(error.standard * float(factor), error.degrees)


def pool_of(samples: Mapping[str, Sample], baseline: Sequence[float] = ()) -> SeedVariance:
    """The pool of a model's variants.

    ln CEG of a paired seed is what the variant's run is off by less what the baseline's is, which all variants share.
    What is left once each variant's mean and each seed's mean are taken out, the baseline's zeros among the cells, is
    the scatter of single runs where all scatter alike. Where the baseline scatters otherwise (F test), the pooled
    variance of the pairs stands, with Satterthwaite's degrees of freedom: few, since one baseline is in all of them.

    Args:
        samples: of the variants, by name; A/A arms, which may be equal bit by bit, are no part of it.
        baseline: ln CEG of every two seeds of the baseline, for models without other unpaired comparisons.
    """
    paired = {name: dict(sample.logs) for name, sample in samples.items() if isinstance(sample, Paired)}
    pair, apart = _pair_error(paired)
    unpaired = [sample for sample in samples.values() if isinstance(sample, Unpaired)]
    return SeedVariance(pair, _run_error(unpaired, np.array(baseline)), apart)


def pair_errors(cells: Mapping[str, Mapping[int, float]]) -> tuple[Error, ...]:
    """Both errors of a pair that `pool_of` chooses among: as if all runs scattered alike, and by the pairs alone.

    Args:
        cells: ln CEG of every variant by its paired seeds.
    """
    cells = {name: row for name, row in cells.items() if len(row) > 1}
    if not cells:
        return ()
    whole, arms = _fits(cells)
    alike = Error(float(np.sqrt(2 * whole.squares / whole.degrees)), whole.degrees)
    return (alike, _components(cells, whole, arms)) if arms.degrees else (alike,)


def _fits(cells: Mapping[str, Mapping[int, float]]) -> tuple[_Fit, _Fit]:
    """Of the variants with the baseline's zeros, and of the variants alone."""
    zeros = dict.fromkeys({seed for row in cells.values() for seed in row}, 0.0)
    return _Fit.of({"": zeros, **cells}), _Fit.of(cells)


def _pair_error(cells: Mapping[str, Mapping[int, float]]) -> tuple[Error | None, frozenset[str]]:
    cells = {name: row for name, row in cells.items() if len(row) > 1}
    if not cells:
        return None, frozenset()
    whole, arms = _fits(cells)
    if arms.degrees and _baseline_differs(whole, arms):
        return _components(cells, whole, arms), _apart(cells, arms)
    variance = 2 * whole.squares / whole.degrees
    return Error(float(np.sqrt(variance)), whole.degrees), _apart(cells, arms)


def _baseline_differs(whole: _Fit, arms: _Fit) -> bool:
    """Whether the seeds' means, in which the baseline is, scatter more or less than variants that are like it."""
    degrees = whole.degrees - arms.degrees
    if degrees <= 0 or arms.squares <= 0:
        return False
    ratio = (whole.squares - arms.squares) / degrees / (arms.squares / arms.degrees)
    above, below = (float(tail(degrees, arms.degrees, ratio)) for tail in (special.fdtrc, special.fdtr))
    return above < NOISY or below < QUIET


def _components(cells: Mapping[str, Mapping[int, float]], whole: _Fit, arms: _Fit) -> Error:
    """The pooled variance of the pairs, its degrees from its two parts: the shared baseline, and the variants."""
    squares = sum(float(np.var(list(row.values()))) * len(row) for row in cells.values())
    total = squares / sum(len(row) - 1 for row in cells.values())
    own = arms.squares / arms.degrees * (1 - 1 / len(cells))
    shared = max(total - own, 0.0)
    parts = shared**2 / (whole.degrees - arms.degrees) + own**2 / arms.degrees
    return Error(float(np.sqrt(total)), total**2 / parts if parts > 0 else arms.degrees)


def _apart(cells: Mapping[str, Mapping[int, float]], arms: _Fit) -> frozenset[str]:
    """The variants that scatter more than the others do."""
    found = set()
    for name, (squares, free) in arms.rows.items():
        degrees = len(cells[name]) - 1
        rest = arms.degrees - degrees
        if rest <= 0 or free <= 0:
            continue
        own = squares * degrees / free
        others = max(arms.squares - own, 0.0) / rest
        if others > 0 and special.fdtrc(degrees, rest, own / degrees / others) < APART:
            found.add(name)
    return frozenset(found)


def _run_error(unpaired: Sequence[Unpaired], baseline: Array) -> Error | None:
    """The pooled scatter of single runs: of the variants' sides, and once of the baseline's."""
    bases = [side for side in (sample.sides[0] for sample in unpaired) if len(side) > 1]
    arms = [side for side in (sample.sides[1] for sample in unpaired) if len(side) > 1]
    squares = sum(float(np.var(side)) * len(side) for side in arms)
    degrees = sum(len(side) - 1 for side in arms)
    if bases:
        squares += float(np.mean([np.var(side) * len(side) for side in bases]))
        degrees += max(map(len, bases)) - 1
    elif len(baseline):
        seeds = round((1 + np.sqrt(1 + 8 * len(baseline))) / 2)
        squares, degrees = squares + float(np.mean(baseline**2)) / 2 * (seeds - 1), degrees + seeds - 1
    return Error(float(np.sqrt(squares / degrees)), degrees) if degrees else None
