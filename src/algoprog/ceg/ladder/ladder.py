"""End points and gains of every variant along a ladder of models, one of them held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.pairing import pair_up

LARGEST = "largest"


@dataclass(frozen=True)
class End:
    """End point of a variant's run, the ln CEG of its pair, and both runs."""

    log_cost: float
    loss: float
    estimate: Estimate
    base: Curve
    arm: Curve

    @property
    def log_gain(self) -> float:
        """Log of the CEG of the pair."""
        return self.estimate.log_gain


Rungs = dict[str, dict[str, list[End]]]
"""End points by variant and model."""


@dataclass(frozen=True)
class Ladder:
    """What is fitted, what is held out; `at` is the ln cost of the held-out baseline, `variants` those run at all."""

    rungs: Rungs
    flags: dict[str, set[str]]
    baseline: str
    cost: str
    fitted: tuple[str, ...]
    held: str
    at: float

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants beside the baseline that were run at every fitted model."""
        names = [name for name in self.rungs if name != self.baseline]
        return tuple(name for name in names if all(model in self.rungs[name] for model in self.fitted))

    def ends(self, variant: str) -> list[End]:
        """The end points below the held-out model."""
        return [end for model in self.fitted for end in self.rungs[variant][model]]


def climb(curves: Sequence[Curve], holdout: str, cost: str, baseline: str) -> Ladder:
    """The ladder below a held-out model, `largest` or by name; of a model run at several budgets the longest is meant.

    Raises:
        ValueError: no such model, fewer than two models left to fit, or as `compute_gains`.
    """
    rungs, flags = _rungs(curves, cost, baseline)
    base = rungs[baseline]
    order = sorted(base, key=lambda model: np.mean([end.log_cost for end in base[model]]))
    names = {model: base[model][0].arm.model for model in order}
    matches = [model for model in order if holdout in (LARGEST, model, names[model])]
    if not matches:
        raise ValueError(f"no baseline run of model {holdout!r}: hold out one of {', '.join(order)}")
    held = matches[-1]
    below = order[: order.index(held)]
    others = tuple(model for model in below if names[model] != names[held])
    fitted = others if len(set(names.values())) > 1 else tuple(below)
    if len(fitted) < 2:
        raise ValueError(f"only {len(fitted)} model is smaller than {held}: a prediction needs runs of two at least")
    at = float(np.mean([end.log_cost for end in base[held]]))
    return Ladder(rungs, flags, baseline, cost, fitted, held, at)


def _rungs(curves: Sequence[Curve], cost: str, baseline: str) -> tuple[Rungs, dict[str, set[str]]]:
    found: Rungs = {}
    flags: dict[str, set[str]] = {}
    for group in pair_up(curves, baseline):
        usable, warnings = group.long_enough(cost)
        if usable and usable[0][0].sizes:
            raise ValueError("these are ends of sizes, one evaluation each: a prediction needs the curve of every size")
        flags.setdefault(group.variant, set()).update(warnings)
        for base, arm in usable:
            trend = trend_of(arm, cost)
            end = End(float(trend.log_cost[-1]), trend.end, IsoLoss()(base, arm, cost, "final"), base, arm)
            found.setdefault(group.variant, {}).setdefault(group.model, []).append(end)
    if baseline not in found:
        raise ValueError(f"no finished run of the baseline {baseline!r} with enough evaluations: run it again")
    return found, flags
