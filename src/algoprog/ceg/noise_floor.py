"""The noise floor: the gain that arms score which, by construction, have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from algoprog.ceg.cost import COSTS
from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import long_enough
from algoprog.ceg.pairs.pairing import Pairs, pair_up
from algoprog.ceg.pairs.same_function import execution_only
from algoprog.ceg.question import Question
from algoprog.runs.record import BASELINE


@dataclass(frozen=True)
class NoiseFloor:
    """Spread of ln CEG between runs that should have none, for one model and cost axis.

    `paired` floors are of runs of one seed and stand beside gains of paired seeds, the others are of different seeds
    and stand beside gains of unpaired ones.
    """

    model: str
    cost: str
    log_sd: float  # root mean square of ln CEG of one A/A pair, whose true value is 0
    degrees: int
    pairs: int
    paired: bool = True

    def factor(self, n_seeds: float, confidence: float = 0.9) -> float:
        """Largest CEG (its inverse the smallest) that noise alone explains over n seeds: exp(t log_sd / sqrt(n))."""
        half = stats.t.ppf((1 + confidence) / 2, self.degrees) * self.log_sd / np.sqrt(n_seeds)
        return float(np.exp(half))


def aa_variants(curves: Sequence[Curve], baseline: str = BASELINE) -> tuple[str, ...]:
    """Variants that differ from the baseline in nothing but how the same function is executed."""
    axes = {curve.variant: curve.axes for curve in curves if curve.axes}
    base = axes.get(baseline, {})
    return tuple(name for name, own in axes.items() if execution_only(name, own, baseline, base))


def noise_floors(
    curves: Sequence[Curve],
    *,
    cost: str = "flops",
    baseline: str = BASELINE,
    aa: Collection[str] | None = None,
    target: Target = "final",
    estimator: Estimator | None = None,
) -> dict[str, NoiseFloor]:
    """The floor of every model that has one, like with like.

    Gains of paired seeds have the floor of kernel-only arms, paired as they are; where a model's gains are all of
    unpaired seeds, its floor is that of the baseline's seeds against each other. Kernel-only arms are left out on the
    axes that a clock takes, where they may truly differ. `aa` names the arms where the curves do not know their axes.

    Raises:
        ValueError: as `compute_gains`.
    """
    names = set(aa_variants(curves, baseline) if aa is None else aa) if not COSTS[cost].measured else set()
    question = Question(estimator or IsoLoss(), cost, target, baseline)
    groups = pair_up(curves, baseline)
    found: dict[str, NoiseFloor] = {}
    for model in dict.fromkeys(group.model for group in groups):
        own = [group for group in groups if group.model == model]
        arms = [group for group in own if group.variant != baseline]
        same = [_logs(group.pairs, question) for group in arms if group.variant in names and not group.unpaired]
        floor = floor_of(model, cost, same)
        if arms and all(group.unpaired for group in arms):
            base = [baseline_logs(group, question) for group in own if group.variant == baseline]
            floor = floor_of(model, cost, base, paired=False)
        found |= {} if floor is None else {model: floor}
    return found


def floor_of(model: str, cost: str, sources: Sequence[Sequence[float]], *, paired: bool = True) -> NoiseFloor | None:
    """The floor that the noisiest of several sources shows; None without a finite ln CEG.

    An A/A arm counts as one degree of freedom a seed, k seeds of a baseline against each other as k - 1. Arms that
    compute bit for bit the same tell nothing of others.
    """
    floors = []
    for logs in sources:
        finite = [value for value in logs if np.isfinite(value)]
        degrees = len(logs) if paired else round((np.sqrt(1 + 8 * len(logs)) - 1) / 2)
        if finite:
            spread = float(np.sqrt(np.mean(np.square(finite))))
            floors.append(NoiseFloor(model, cost, spread, degrees, len(finite), paired))
    return max(floors, key=lambda floor: floor.log_sd, default=None)


def baseline_logs(group: Pairs, question: Question) -> tuple[float, ...]:
    """The ln CEG of every two seeds of a model's baseline."""
    runs = [base for base, _ in group.pairs]
    return _logs(tuple(combinations(runs, 2)), question)


def _logs(pairs: Sequence[tuple[Curve, Curve]], question: Question) -> tuple[float, ...]:
    usable = [pair for pair in pairs if all(long_enough(curve, question.cost) for curve in pair)]
    return tuple(question.estimator(a, b, question.cost, question.target).log_gain for a, b in usable)
