"""The ratio of the costs at which two frontiers, laws through the ends of several sizes, reach the same loss."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from algoprog.ceg.curves import Curve
from algoprog.ceg.estimator.estimate import Estimate, Target, compare
from algoprog.ceg.fit.frontier_law import LEAST_FREE, FrontierLaws, fit_frontiers

FEW, POOR_FIT = "few-points", "poor-fit"


def between_frontiers(baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
    """CEG = C_baseline(L) / C_variant(L) by laws E + A C^-a through the ends of both, which share E.

    `final` and `min` mean the baseline's law at its largest size. The error is by the scatter of all ends about the
    laws, with ends less parameters degrees of freedom; `degrees` are told, as one seed has none of its own.
    """
    laws, last = _laws(baseline, variant, cost), [_log_end(curve, cost) for curve in (baseline, variant)]
    lowest = laws.loss(0, last[0]), laws.loss(1, last[1])
    wanted = lowest[0] if target in ("final", "min") else float(target)
    if baseline is variant:
        return Estimate(wanted, 0.0, lambda: 0.0)
    said = ((FEW,) if laws.free < LEAST_FREE else ()) + (() if laws.falls else (POOR_FIT,))
    found = compare(
        wanted,
        lowest,
        (lambda loss: laws.log_cost(0, loss), lambda loss: laws.log_cost(1, loss)),
        (last[0], last[1]),
        laws.log_sd,
        lambda at: (*said, *_beyond(at, baseline, variant, cost)),
    )
    return replace(found, degrees=laws.free if laws.known else None)


_LAWS: WeakKeyDictionary[Curve, WeakKeyDictionary[Curve, dict[str, FrontierLaws]]] = WeakKeyDictionary()


def _laws(baseline: Curve, variant: Curve, cost: str) -> FrontierLaws:
    known = _LAWS.setdefault(baseline, WeakKeyDictionary()).setdefault(variant, {})
    if cost not in known:
        points = [curve.points(cost) for curve in (baseline, variant)]
        known[cost] = fit_frontiers([x for x, _ in points], [y for _, y in points])
    return known[cost]


def _log_end(curve: Curve, cost: str) -> float:
    return float(np.log(curve.points(cost)[0][-1]))


def _beyond(at: tuple[float, float], baseline: Curve, variant: Curve, cost: str) -> tuple[str, ...]:
    """The flag of a loss that lies outside the sizes that either was trained at."""
    for log_cost, curve in zip(at, (baseline, variant), strict=True):
        costs = np.log(curve.points(cost)[0])
        if not costs[0] - 1e-6 <= log_cost <= costs[-1] + 1e-6:
            return ("extrapolated",)
    return ()
