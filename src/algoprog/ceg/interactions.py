"""Do changes add up? Shapley attribution of ln CEG, and the product of single gains over the joint gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import factorial

import numpy as np

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.pairs.pairing import pair_up
from algoprog.ceg.seeds.intervals import log_interval
from algoprog.runs.record import BASELINE

Joined = frozenset[str]


@dataclass(frozen=True)
class Share:
    """A factor on the CEG with its interval; None where the seeds are too few to give one."""

    name: str
    ceg: float
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class Interaction:
    """How the joint gain of several changes comes about, at one model.

    `singles` are the gains of each change alone over the baseline, `last` those of adding it to all others (leave one
    out), `shapley` the average over all orders; the Shapley factors multiply to the joint gain exactly. `redundancy` is
    the product of single gains over the joint gain: 1 if they multiply, above 1 if they overlap. What the design does
    not contain is empty or None.
    """

    model: str
    joint: Share
    singles: tuple[Share, ...]
    last: tuple[Share, ...]
    shapley: tuple[Share, ...]
    redundancy: Share | None
    flags: tuple[str, ...] = ()  # of the arms behind it, `few-points` where a run was too short to use


def interactions(
    curves: Sequence[Curve],
    *,
    cost: str = "flops",
    baseline: str = BASELINE,
    target: Target = "final",
    confidence: float = 0.9,
    estimator: Estimator | None = None,
) -> list[Interaction]:
    """The largest joint variant of each model, taken apart; models without a variant such as `ln+rope` are left out.

    A variant's name lists its changes joined by `+`. Every quantity is a fixed combination of ln CEG that is formed
    seed by seed, so its interval has the noise that the arms share taken out.

    Raises:
        ValueError: as `compute_gains`.
    """
    estimate = estimator or IsoLoss()
    models: dict[str, dict[Joined, dict[int, float]]] = {}
    flags: dict[str, set[str]] = {}
    for group in pair_up(curves, baseline):
        usable, warnings = group.long_enough(cost)
        if group.variant != baseline:
            flags.setdefault(group.model, set()).update(warnings)
        if group.variant != baseline and usable:
            found = {arm.seed: estimate(base, arm, cost, target) for base, arm in usable}
            key = frozenset(group.variant.split("+"))
            models.setdefault(group.model, {})[key] = {seed: value.log_gain for seed, value in found.items()}
    return [
        replace(_take_apart(model, _Design(arms, confidence)), flags=tuple(sorted(flags[model])))
        for model, arms in models.items()
        if max(map(len, arms)) > 1
    ]


@dataclass(frozen=True)
class _Design:
    """ln CEG of every arm and seed; combinations of them with an interval."""

    arms: Mapping[Joined, Mapping[int, float]]
    confidence: float

    def has(self, arms: Sequence[Joined]) -> bool:
        return all(not arm or arm in self.arms for arm in arms)

    def combine(self, name: str, weights: Mapping[Joined, float]) -> Share:
        """Exponential of a weighted sum of ln CEG; the empty arm is the baseline, whose ln CEG is 0."""
        used = {arm: weight for arm, weight in weights.items() if arm and weight}
        seeds = sorted(set.intersection(*(set(self.arms[arm]) for arm in used)))
        if not seeds:
            return Share(name, float("nan"), None, None)
        logs: Array = np.array([sum(weight * self.arms[arm][s] for arm, weight in used.items()) for s in seeds])
        interval = log_interval(logs.tolist(), self.confidence)
        low, high = (None, None) if interval is None else (float(np.exp(interval[0])), float(np.exp(interval[1])))
        return Share(name, float(np.exp(logs.mean())), low, high)


def _take_apart(model: str, design: _Design) -> Interaction:
    joint = max(design.arms, key=len)
    parts = sorted(joint)
    single = {part: frozenset([part]) for part in parts}
    subsets = [frozenset(s) for size in range(len(parts) + 1) for s in combinations(parts, size)]
    weights: dict[Joined, float] = dict.fromkeys(single.values(), 1.0)
    return Interaction(
        model=model,
        joint=design.combine("+".join(parts), {joint: 1.0}),
        singles=tuple(design.combine(p, {single[p]: 1.0}) for p in parts if design.has([single[p]])),
        last=tuple(design.combine(p, {joint: 1.0, joint - {p}: -1.0}) for p in parts if design.has([joint - {p}])),
        shapley=tuple(design.combine(p, shapley_weights(p, joint)) for p in parts) if design.has(subsets) else (),
        redundancy=(
            design.combine("product / joint", {**weights, joint: -1.0}) if design.has(list(single.values())) else None
        ),
    )


def shapley_weights(part: str, joint: Joined) -> dict[Joined, float]:
    """Weight of every arm's ln CEG in one change's share: the mean over all orders of what adding it contributes.

    Source: Shapley 1953: sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S)).
    """
    others, total = sorted(joint - {part}), len(joint)
    weights: dict[Joined, float] = {}
    for size in range(total):
        weight = factorial(size) * factorial(total - size - 1) / factorial(total)
        for chosen in combinations(others, size):
            rest = frozenset(chosen)
            weights[rest | {part}] = weights.get(rest | {part}, 0.0) + weight
            weights[rest] = weights.get(rest, 0.0) - weight
    return weights
