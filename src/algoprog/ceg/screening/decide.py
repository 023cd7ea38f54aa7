"""What a look at a model's seeds decides about each of its variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.evidence import evidence
from algoprog.ceg.noise_floor import aa_variants
from algoprog.ceg.pairs.pairing import Pairs, pair_up
from algoprog.ceg.question import Question
from algoprog.ceg.screening.rule import CARRIED, DROPPED, KEPT, Decision
from algoprog.ceg.seeds.pool import SeedVariance, pair_errors, pool_of
from algoprog.ceg.seeds.sample import Error, Paired, Sample
from algoprog.runs.record import BASELINE

HIGHEST = 1e9
"""A bound above this factor says nothing."""


def look(curves: Sequence[Curve], *, seeds: int, gate: float, level: float) -> list[Decision]:
    """Decide about every variant of one model by the runs of its first seeds.

    Args:
        curves: of the baseline and of the variants, as their runs left them.
        seeds: of the look.
        gate: gain that a variant may not be shown to lie below.
        level: one-sided, of this look.

    Raises:
        ValueError: as `compute_gains`, or no run of the baseline is left to compare with.
    """
    groups = pair_up(curves, BASELINE)
    if not any(group.pairs for group in groups if group.variant == BASELINE):
        raise ValueError(f"every run of the baseline diverged at {curves[0].model}: choose a lower optim.lr")
    question = Question(IsoLoss(), "flops")
    arms = {group.variant: group for group in groups if group.variant != BASELINE}
    found = {name: evidence(group, question) for name, group in arms.items()}
    same = aa_variants(curves, BASELINE)
    samples = {name: one.sample for name, one in found.items() if one.sample is not None}
    errors = errors_of({name: sample for name, sample in samples.items() if name not in same})
    beside = {name: found[name].reading_error() for name in errors}  # of reading costs between ends, which seeds share
    known = {name: [error.beside(beside[name]) for error in own] for name, own in errors.items()}
    tested = {name: decided(samples[name], known[name], gate=gate, level=level) for name in known}
    told = {name: _untested(arms[name], same=name in same) for name in arms if name not in tested}
    return [
        Decision(curves[0].model, name, seeds, outcome, reason, _ceg(samples.get(name)), high, p, level)
        for name, (outcome, reason, high, p) in sorted({**tested, **told}.items())
    ]


Verdict = tuple[str, str, float | None, float | None]
"""Outcome and reason, what the gain is below at the look's level, and the p-value; None where nothing is known."""


def errors_of(samples: Mapping[str, Sample]) -> dict[str, list[Error]]:
    """The errors that a mean is tested by, of which the worst counts.

    They are what the findings of a model are tested by, and both of those that it chooses among by a test: the spread
    of single runs where all scatter alike, and that of pairs. A choice by the data flatters what is chosen.
    """
    pool, paired = pool_of(samples), {n: dict(s.logs) for n, s in samples.items() if isinstance(s, Paired)}
    both = [SeedVariance(error, pool.run) for error in pair_errors(paired)]
    found = {}
    for name, sample in samples.items():
        tests = [
            *(spread.error(sample) for spread in (pool, *both)),
            sample.own_error() if name in pool.apart else None,
        ]
        found[name] = [error for error in tests if error is not None]
    return found


def decided(sample: Sample, errors: Sequence[Error], *, gate: float, level: float) -> Verdict:
    """Whether a variant's mean is so low that its true gain is below the gate, by every error that it is tested by."""
    mean = sample.mean
    p_values = [error.p_below(mean - math.log(gate)) for error in errors]
    p = max(p_values) if p_values and all(map(math.isfinite, p_values)) else None
    log_high = max((mean + error.half(1 - 2 * level) for error in errors), default=math.inf)
    high = math.exp(log_high) if log_high < math.log(HIGHEST) else None
    if p is not None and p < level:
        return DROPPED, f"its gain is below {gate:g}", high, p
    return KEPT, f"nothing shows that its gain is below {gate:g}", high, p


def _untested(group: Pairs, *, same: bool) -> Verdict:
    """What is decided where there is nothing to test."""
    if same:
        return CARRIED, "it computes the baseline's function: its gains say what noise scores", None, None
    if not group.pairs and group.lost:
        return DROPPED, "every seed of it diverged", None, None
    return KEPT, "its gain cannot be told yet", None, None


def _ceg(sample: Sample | None) -> float | None:
    return None if sample is None else math.exp(sample.mean)
