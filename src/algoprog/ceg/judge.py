"""Rows of all variants at one question: errors, findings and noise floors, model by model."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from algoprog.ceg.evidence import CONDITIONAL, Evidence, evidence
from algoprog.ceg.gain import Gain
from algoprog.ceg.noise_floor import NoiseFloor, baseline_logs, floor_of
from algoprog.ceg.pairs.pairing import Pairs
from algoprog.ceg.question import Question
from algoprog.ceg.rows import gain_rows
from algoprog.ceg.seeds.findings import findings, p_values
from algoprog.ceg.seeds.pool import ENOUGH, SeedVariance, pool_of
from algoprog.ceg.seeds.sample import Error, Paired, Sample, Unpaired

ROUNDING = 1e-9
INDISTINGUISHABLE, MAYBE_CHANCE = "indistinguishable", "maybe-chance"


def judge(groups: Sequence[Pairs], question: Question, aa: Collection[str]) -> list[list[Gain]]:
    """The rows of every group of runs, in the order of the groups.

    Args:
        groups: variants of any models, baselines included.
        question: what is asked of them.
        aa: variants that compute the baseline's function, which have no gain by construction.
    """
    found = [evidence(group, question) for group in groups]
    rows: dict[int, list[Gain]] = {}
    for model in dict.fromkeys(group.model for group in groups):
        own = [index for index, group in enumerate(groups) if group.model == model]
        verdict = _Model.of([groups[i] for i in own], [found[i] for i in own], question, aa)
        rows |= {index: verdict.rows(found[index]) for index in own}
    return [rows[index] for index in range(len(groups))]


@dataclass(frozen=True)
class _Model:
    """What the variants of one model say together."""

    question: Question
    errors: Mapping[str, Error | None]
    p: Mapping[str, float]
    winners: frozenset[str]
    floors: Mapping[bool, NoiseFloor | None]  # of unpaired and of paired gains

    @classmethod
    def of(cls, groups: Sequence[Pairs], found: Sequence[Evidence], question: Question, aa: Collection[str]) -> _Model:
        arms = {e.row.variant: e for e in found if e.row.variant != question.baseline}
        samples = {name: each.sample for name, each in arms.items() if each.sample is not None}
        family = {n: s for n, s in samples.items() if n not in aa and CONDITIONAL not in arms[n].row.flags}
        logs = _baseline_logs(groups, samples, pool_of(family), question)
        pool = pool_of(family, logs)
        lent = {name: _lent(arms[name], pool, question) for name in samples}
        readings = {name: arms[name].reading_error() for name in samples}
        known = {name: sample.own_error() or lent[name] for name, sample in samples.items()}
        errors = {name: error and error.beside(readings[name]) for name, error in known.items()}
        p = p_values(family, pool, lent, readings)
        same = [tuple(s.logs.values()) for name, s in samples.items() if name in aa and isinstance(s, Paired)]
        model, cost = groups[0].model, question.cost
        floors = {True: floor_of(model, cost, same), False: floor_of(model, cost, [logs], paired=False)}
        return cls(question, errors, p, findings(p), floors)

    def rows(self, found: Evidence) -> list[Gain]:
        """The rows of one variant, with what they are worth."""
        name = found.row.variant
        rows = gain_rows(found, self.errors.get(name), self.question.confidence)
        if found.sample is None or name == self.question.baseline:
            return rows
        inside = self._inside(found.sample)
        return [_told(row, self.p.get(name), inside=inside, finding=name in self.winners) for row in rows]

    def _inside(self, sample: Sample) -> bool:
        """Whether runs that have no gain by construction score as much."""
        floor = self.floors[isinstance(sample, Paired)]
        return floor is not None and abs(sample.mean) <= math.log(floor.factor(sample.runs, self.question.confidence))


def _lent(found: Evidence, pool: SeedVariance, question: Question) -> Error | None:
    """The error of a variant whose own seeds tell none: by the law of its ends, as stated, or that of other seeds."""
    assert found.sample is not None, "asked for by _Model.of alone"
    return found.law_error() or found.stated_error(question) or pool.lent(found.sample)


def _baseline_logs(
    groups: Sequence[Pairs], samples: Mapping[str, Sample], pool: SeedVariance, question: Question
) -> tuple[float, ...]:
    """What every two seeds of the baseline score, where a gain needs it: unpaired, or of one seed with no other sd."""
    unpaired = any(isinstance(sample, Unpaired) for sample in samples.values())
    single = any(isinstance(sample, Paired) and sample.runs == 1 for sample in samples.values())
    known = question.seed_sd is not None or (pool.pair is not None and pool.pair.degrees >= ENOUGH)
    if not unpaired and (known or not single):
        return ()
    base = next((group for group in groups if group.variant == question.baseline), None)
    return baseline_logs(base, question) if base is not None else ()


def _told(row: Gain, p: float | None, *, inside: bool, finding: bool) -> Gain:
    """A row with its p-value and whether its gain is a finding."""
    finding = finding and not inside and CONDITIONAL not in row.flags
    if row.kind == "bound":
        return replace(row, finding=finding and _bound_excludes_1(row))
    word = None
    if not finding and (inside or not _excludes_1(row, unknown=True)):
        word = INDISTINGUISHABLE
    elif not finding and _excludes_1(row) and CONDITIONAL not in row.flags:
        word = MAYBE_CHANCE
    flags = tuple(sorted({*row.flags, *([word] if word else [])}))
    return replace(row, flags=flags, finding=finding, p_value=p)


def _excludes_1(row: Gain, *, unknown: bool = False) -> bool:
    """Whether 1 lies outside the interval; `unknown` where there is no interval."""
    if row.ci_low is None and row.ci_high is None:
        return unknown
    return (row.ci_low is not None and row.ci_low > 1) or (row.ci_high is not None and row.ci_high < 1)


def _bound_excludes_1(row: Gain) -> bool:
    """Whether a bound lies on one side of 1; at 1 itself, where runs of one budget meet, it does."""
    if row.ci_high is not None:
        return row.ci_high <= 1 + ROUNDING
    return row.ci_low is not None and row.ci_low >= 1 - ROUNDING
