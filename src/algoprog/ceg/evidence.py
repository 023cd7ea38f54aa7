"""What the runs of one variant say before any statistics: estimates of ln CEG, and a row to be filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate, between_ends
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.gain import Gain
from algoprog.ceg.pairs.pairing import Pairs
from algoprog.ceg.question import Question
from algoprog.ceg.seeds.sample import Error, Paired, Sample, Unpaired
from algoprog.ceg.seeds.surroundings import surroundings

CONDITIONAL = "conditional"
"""Flag of a gain whose variant lost seeds to divergence: it holds for those that finished."""

_Pair = tuple[Curve, Curve]


@dataclass(frozen=True)
class Evidence:
    """The estimates of a variant's pairs; `sample` is None where there are none or a gain is no finite number."""

    row: Gain
    pairs: tuple[_Pair, ...]
    estimates: tuple[Estimate, ...]
    sample: Sample | None

    def reading_error(self) -> Error | None:
        """The error of reading costs between ends that all seeds share; None where nothing is read between ends.

        What ends stray from the curve through the others by, as the mean over seeds, less what that mean owes to the
        scatter of the seeds, which their own error knows.
        """
        lengths = {len(estimate.misreadings) for estimate in self.estimates}
        if len(lengths) != 1 or not any(lengths):
            return None
        off = np.array([estimate.misreadings for estimate in self.estimates])
        shared = off.mean(axis=0) ** 2
        if len(off) > 1:
            shared -= off.var(axis=0, ddof=1) / len(off)
        read = int((off != 0).any(axis=0).sum())
        return Error(float(np.sqrt(max(shared.sum(), 0.0))), read) if read else None

    def law_error(self) -> Error | None:
        """The error of a single seed by the scatter of its ends about a law; None where it tells none."""
        if len(self.estimates) != 1 or self.estimates[0].degrees is None or not np.isfinite(self.estimates[0].log_sd):
            return None
        return Error(self.estimates[0].log_sd, self.estimates[0].degrees)

    def stated_error(self, question: Question) -> Error | None:
        """The error by the sd of a run's last loss that was stated, as if no two runs were paired."""
        if question.seed_sd is None or self.sample is None or self.pairs[0][0].sizes:
            return None
        factors = [
            _log_cost_of_a_nat(base, arm, estimate, question.cost)
            for (base, arm), estimate in zip(self.pairs, self.estimates, strict=True)
        ]
        standard = question.seed_sd * float(np.mean(factors)) * float(np.sqrt(2 / self.sample.runs))
        return Error(standard, float("inf"), borrowed=True) if np.isfinite(standard) else None


def evidence(group: Pairs, question: Question) -> Evidence:
    """Estimate ln CEG of every pair of a variant; of every run with every other where seeds are not paired."""
    base, name, cost = question.baseline, question.estimator.label, question.cost
    row = Gain(group.model, group.variant, base, name, cost, None, "primary", None, None, None, 0, ())
    row = replace(row, n_diverged=group.lost)
    pairs, warnings = group.compared(cost)
    if not pairs:
        return Evidence(replace(row, flags=warnings), (), (), None)
    estimator = question.estimator
    if pairs[0][0].sizes and not estimator.joins_sizes:  # an end by itself is no curve to be read
        return Evidence(replace(row, flags=warnings), (), (), None)
    estimator = estimator.over(pairs, cost, question.target)
    estimates = tuple(estimator(base, arm, cost, question.target) for base, arm in pairs)
    flags = {*warnings, *_flags(estimates, pairs, cost)} | ({CONDITIONAL} if group.lost else set())
    correction, budget = between_ends(estimates)
    row = replace(
        row,
        n_seeds=len({id(arm) for _, arm in pairs}),
        flags=tuple(sorted(flags)),
        slope_correction=correction,
        settling_budget=budget,
    )
    return Evidence(row, tuple(pairs), estimates, _sample(pairs, estimates, unpaired=group.unpaired))


def _sample(pairs: list[_Pair], estimates: tuple[Estimate, ...], *, unpaired: bool) -> Sample | None:
    logs = np.array([estimate.log_gain for estimate in estimates])
    if not np.isfinite(logs).all():  # a law that never reaches the loss
        return None
    if unpaired:
        return Unpaired(logs.reshape(len({id(base) for base, _ in pairs}), -1))
    return Paired({base.seed: float(log) for (base, _), log in zip(pairs, logs, strict=True)})


def _flags(estimates: tuple[Estimate, ...], pairs: list[_Pair], cost: str) -> set[str]:
    flags = {flag for estimate in estimates for flag in estimate.flags}
    if len({estimate.reached for estimate in estimates}) > 1:
        flags.add("mixed")
    if any(trend_of(curve, cost).rising for pair in pairs for curve in pair if not curve.sizes):
        flags.add("rising")
    return flags | (surroundings(pairs) if COSTS[cost].measured else set())


def _log_cost_of_a_nat(base: Curve, arm: Curve, estimate: Estimate, cost: str) -> float:
    """What ln CEG moves by when a run's loss moves by a nat, root mean square of the two runs.

    A run that stands at its end there has a cost that is known: its loss moves the crossing of the other.
    """
    trends = trend_of(base, cost), trend_of(arm, cost)
    wanted = estimate.target if estimate.auxiliary_target is None else estimate.auxiliary_target
    loss = max(wanted, *(trend.lowest for trend in trends))
    at = [trend.log_cost_at(loss) for trend in trends]
    slopes = [trend.slope_at(x) for trend, x in zip(trends, at, strict=True)]
    inside = [slope for slope, trend, x in zip(slopes, trends, at, strict=True) if x < trend.log_cost[-1]]
    known = inside or slopes
    return float(np.sqrt(np.mean([1 / slope**2 if slope > 0 else np.inf for slope in known])))
