"""End points and gains of every variant along a ladder of models, one of them held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.fit.smoothing import trend_of
from algoprog.ceg.pairs.pairing import pair_up

LARGEST = "largest"
COMING = "larger"
"""Name of a model to come that has none."""

FURTHER = 1.05
"""Times the cost of the largest model, below which another is no larger one."""


@dataclass(frozen=True)
class End:
    """End point of a variant's run, the ln CEG of its pair, and both runs.

    `error` is the standard error of the loss from evaluation noise, `slope` what the loss falls by an e-fold of cost,
    `ahead` how far the loss lies below that of the baseline's run; all in nats.
    """

    log_cost: float
    loss: float
    estimate: Estimate
    base: Curve
    arm: Curve
    error: float
    slope: float
    ahead: float

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


def climb(curves: Sequence[Curve], holdout: str, cost: str, baseline: str, at: float | None = None) -> Ladder:
    """The ladder below a held-out model, `largest` or by name; of a model run at several budgets the longest is meant.

    With `at`, the cost of the baseline's run of a larger model that is yet to come, all models are fitted.

    Raises:
        ValueError: no such model, fewer than two models left to fit, or as `compute_gains`.
    """
    found = _Rungs(*_rungs(curves, cost, baseline), baseline, cost)
    return found.below(holdout) if at is None else found.beyond(holdout, at)


def climbs(curves: Sequence[Curve], cost: str, baseline: str) -> list[Ladder]:
    """The ladders below every model that two or more are smaller than, the smallest first.

    Raises:
        ValueError: there are fewer than three models, or as `compute_gains`.
    """
    found = _Rungs(*_rungs(curves, cost, baseline), baseline, cost)
    held = [model for rank, model in enumerate(found.order) if rank > 1]
    ladders = [found.ladder(model, fitted) for model in held if len(fitted := found.smaller(model)) > 1]
    if not ladders:
        raise ValueError(f"rolling hold-outs need three models, here are {', '.join(found.order)}")
    return ladders


def observe(curves: Sequence[Curve], holdout: str, cost: str, baseline: str) -> Ladder:
    """What was run of one model, `largest` or by name, whatever stands below it; nothing is fitted.

    Raises:
        ValueError: no such model, or as `compute_gains`.
    """
    found = _Rungs(*_rungs(curves, cost, baseline), baseline, cost)
    return found.ladder(found.named(holdout), ())


@dataclass(frozen=True)
class _Rungs:
    """What was run, from which ladders are made."""

    rungs: Rungs
    flags: dict[str, set[str]]
    baseline: str
    cost: str

    @property
    def order(self) -> list[str]:
        """Models by what the baseline's runs cost."""
        return sorted(self.rungs[self.baseline], key=self.log_cost)

    def log_cost(self, model: str) -> float:
        """Mean ln cost of the baseline's runs."""
        return float(np.mean([end.log_cost for end in self.rungs[self.baseline][model]]))

    def name(self, model: str) -> str:
        """The model without its cohort."""
        return self.rungs[self.baseline][model][0].arm.model

    def smaller(self, held: str) -> tuple[str, ...]:
        """The models that a prediction of one may rest on."""
        below = self.order[: self.order.index(held)]
        several = len({self.name(model) for model in self.order}) > 1
        return tuple(model for model in below if not several or self.name(model) != self.name(held))

    def ladder(self, held: str, fitted: tuple[str, ...]) -> Ladder:
        """The ladder below a model that was run."""
        return Ladder(self.rungs, self.flags, self.baseline, self.cost, fitted, held, self.log_cost(held))

    def named(self, holdout: str) -> str:
        """The model by its name, or the largest."""
        matches = [model for model in self.order if holdout in (LARGEST, model, self.name(model))]
        if not matches:
            raise ValueError(f"no baseline run of model {holdout!r}: hold out one of {', '.join(self.order)}")
        return matches[-1]

    def below(self, holdout: str) -> Ladder:
        """The ladder below a model by name, or below the largest."""
        held = self.named(holdout)
        fitted = self.smaller(held)
        if len(fitted) < 2:
            raise ValueError(
                f"only {len(fitted)} model is smaller than {held}: a prediction needs runs of two at least"
            )
        return self.ladder(held, fitted)

    def beyond(self, name: str, at: float) -> Ladder:
        """The ladder of all models below one that is yet to come."""
        order = self.order
        if name in order or name in map(self.name, order):
            raise ValueError(f"model {name} was run: leave its cost out to predict it from the smaller ones")
        if len(order) < 2:
            raise ValueError(f"only model {order[0]} was run: a prediction needs runs of two at least")
        largest = float(np.exp(self.log_cost(order[-1])))
        if not largest * FURTHER <= at < float("inf"):
            raise ValueError(f"a cost of {at:g} {self.cost} is not beyond {order[-1]}, whose runs cost {largest:.4g}")
        title = COMING if name == LARGEST else name
        return Ladder(self.rungs, self.flags, self.baseline, self.cost, tuple(order), title, float(np.log(at)))


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
            estimate, last = IsoLoss()(base, arm, cost, "final"), float(trend.log_cost[-1])
            noise, ahead = float(trend.error[-1]), trend_of(base, cost).end - trend.end
            end = End(last, trend.end, estimate, base, arm, noise, trend.annealed_slope, ahead)
            found.setdefault(group.variant, {}).setdefault(group.model, []).append(end)
    if baseline not in found:
        raise ValueError(f"no finished run of the baseline {baseline!r} with enough evaluations: run it again")
    return found, flags
