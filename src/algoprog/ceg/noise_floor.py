"""The noise floor: the gain that arms score which, by construction, have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import long_enough
from algoprog.ceg.pairing import pair_up
from algoprog.ceg.same_function import execution_only
from algoprog.runs.record import BASELINE


@dataclass(frozen=True)
class NoiseFloor:
    """Spread of ln CEG between runs that should have none, for one model and cost axis."""

    model: str
    cost: str
    log_sd: float  # root mean square of ln CEG of one A/A pair, whose true value is 0
    degrees: int
    pairs: int

    def factor(self, n_seeds: int, confidence: float = 0.9) -> float:
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
    """The floor of every model that has A/A pairs: kernel-only arms with their seeds, and the baseline's seeds.

    Every two seeds of the baseline make a pair of different seeds, which overstates the noise of paired seeds somewhat:
    the floor errs on the side of calling a gain noise. k seeds count as k - 1 degrees of freedom, an A/A arm as one a
    seed. Seeds and arms are two sources, of which the noisier is the floor: arms that compute bit for bit the same say
    nothing about seeds. Kernel-only arms are left out on the seconds axis, where they may truly differ. `aa` names the
    arms where the curves do not know their axes.

    Raises:
        ValueError: as `compute_gains`.
    """
    names = set(aa_variants(curves, baseline) if aa is None else aa) if cost != "seconds" else set()
    estimate = estimator or IsoLoss()
    found: dict[str, NoiseFloor] = {}
    for group in pair_up(curves, baseline):
        pairs, degrees = list(group.pairs), len(group.pairs)
        if group.variant == baseline:
            pairs, degrees = list(combinations([base for base, _ in group.pairs], 2)), degrees - 1
        elif group.variant not in names:
            continue
        usable = [pair for pair in pairs if all(long_enough(curve, cost) for curve in pair)]
        logs = [estimate(a, b, cost, target).log_gain for a, b in usable]
        finite = [value for value in logs if np.isfinite(value)]
        if finite:
            floor = NoiseFloor(group.model, cost, float(np.sqrt(np.mean(np.square(finite)))), degrees, len(finite))
            found[group.model] = max(found.get(group.model, floor), floor, key=lambda source: source.log_sd)
    return found
