"""Does a gain grow with compute? Slope of ln CEG on ln C over a ladder of models, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.estimator.estimate import Estimate, Estimator, Target
from algoprog.ceg.estimator.iso_loss import IsoLoss
from algoprog.ceg.pairs.pairing import pair_up
from algoprog.runs.record import BASELINE

DELTA = float(np.log(1.1) / np.log(10.0))
"""A slope this small changes the gain by 10 % per decade of compute: what `independent` tolerates by default."""

SIMILAR = 1.1
MAX_SEEDS = 100

LACK_OF_FIT_LEVEL = 0.25
NOTHING = 1e-12
"""A squared ln CEG that no measurement tells from none."""

SAME_COST = 0.01
"""Models whose ln cost differs by less give no slope."""

Dependence = Literal["independent", "dependent", "inverse", "inconclusive"]


@dataclass(frozen=True)
class ScaleDependence:
    """How the gain of one variant changes with compute.

    `slope` is d ln CEG / d ln C; a decade of compute multiplies the gain by 10^slope. For an inconclusive verdict
    `seeds_needed` (a model, same ladder) or `decades_needed` (of compute between the ends of the ladder, same seeds)
    would settle it if the slope and the scatter stay as measured; None where 100 seeds would not, where the models'
    means lie off a line, which seeds do not mend, or where nothing is needed.
    """

    variant: str
    cost: str
    models: tuple[str, ...]  # by rising compute
    log_cost: tuple[float, ...]
    log_gain: tuple[float, ...]  # mean over seeds
    slope: float
    slope_low: float | None
    slope_high: float | None
    intercept: float  # ln CEG at ln C = 0
    verdict: Dependence
    two_point: Literal["independent", "dependent"]
    seeds_needed: int | None
    decades_needed: float | None
    flags: tuple[str, ...] = ()  # of the pairs behind it, `few-points` where some were too short to use


def scale_dependence(
    curves: Sequence[Curve],
    *,
    cost: str = "flops",
    baseline: str = BASELINE,
    target: Target = "final",
    confidence: float = 0.9,
    delta: float = DELTA,
    estimator: Estimator | None = None,
) -> list[ScaleDependence]:
    """One verdict for each variant that was compared with its baseline at two models of different cost or more.

    Each pair of runs is one point: x the ln of what the baseline's run cost, y its ln CEG. The slope is ordinary least
    squares over all of them and its interval Student's with n - 2 degrees of freedom. Where the models' means lie off
    the line by more than their seeds explain, seeds are no independent evidence about the slope: then the means are
    the points, with models - 2 degrees of freedom. With two points in all, evaluation noise alone gives the interval.

    Raises:
        ValueError: as `compute_gains`.
    """
    estimate = estimator or IsoLoss()
    points: dict[str, list[_Point]] = {}
    flags: dict[str, set[str]] = {}
    for group in pair_up(curves, baseline):
        if group.variant != baseline:
            usable, warnings = group.long_enough(cost)
            flags.setdefault(group.variant, set()).update(warnings)
            points.setdefault(group.variant, []).extend(
                _Point(group.model, float(np.log(base.points(cost)[0][-1])), estimate(base, arm, cost, target))
                for base, arm in usable
            )
    return [
        replace(_dependence(variant, cost, found, confidence, delta), flags=tuple(sorted(flags[variant])))
        for variant, found in ((variant, _finite(found)) for variant, found in points.items())
        if len({point.model for point in found}) > 1 and _spread(found) > SAME_COST
    ]


@dataclass(frozen=True)
class _Point:
    model: str
    log_cost: float
    estimate: Estimate


def _finite(points: list[_Point]) -> list[_Point]:
    """Without pairs whose gain is no number, as a fitted law may give."""
    return [point for point in points if np.isfinite(point.estimate.log_gain)]


def _spread(points: list[_Point]) -> float:
    """Largest ln cost less the smallest, over models."""
    models = {point.model for point in points}
    means = [float(np.mean([point.log_cost for point in points if point.model == model])) for model in models]
    return max(means) - min(means)


def _dependence(variant: str, cost: str, points: list[_Point], confidence: float, delta: float) -> ScaleDependence:
    x = np.array([point.log_cost for point in points])
    y = np.array([point.estimate.log_gain for point in points])
    models = sorted({point.model for point in points}, key=lambda m: np.mean(x[[p.model == m for p in points]]))
    members = [[point.model == model for point in points] for model in models]
    means = [float(y[member].mean()) for member in members]
    line = _line(x, y)
    seeds_help = not _off_the_line(line, y, members)
    if not seeds_help:
        line = _line(np.array([x[member].mean() for member in members]), np.array(means))
    slope, scatter, spread = line.slope, line.scatter, line.spread
    if line.free == 0:
        scatter = float(np.sqrt(np.mean([point.estimate.log_sd**2 for point in points])))
    half = _quantile(confidence, line.free or None) * scatter / float(np.sqrt(spread))
    verdict = _verdict(slope - half, slope + half, delta)
    known = bool(np.isfinite(half))
    per_model = len(points) / len(models)
    settle = _Settle(slope, scatter, spread, line.free + 2, confidence, delta)
    open_ = verdict == "inconclusive" and known
    return ScaleDependence(
        variant=variant,
        cost=cost,
        models=tuple(models),
        log_cost=tuple(float(x[member].mean()) for member in members),
        log_gain=tuple(means),
        slope=slope,
        slope_low=slope - half if known else None,
        slope_high=slope + half if known else None,
        intercept=float(y.mean() - slope * x.mean()),
        verdict=verdict,
        two_point=two_point_rule(float(np.exp(means[0])), float(np.exp(means[-1]))),
        seeds_needed=settle.seeds(per_model) if open_ and seeds_help else None,
        decades_needed=settle.decades(float(np.ptp(x)) / np.log(10)) if open_ else None,
    )


@dataclass(frozen=True)
class _Line:
    """Least squares: slope, residual sum of squares, degrees of freedom, sum of squares of x around its mean."""

    slope: float
    residual: float
    free: int
    spread: float

    @property
    def scatter(self) -> float:
        """Standard deviation of the points around the line."""
        return float(np.sqrt(self.residual / self.free)) if self.free else 0.0


def _line(x: Array, y: Array) -> _Line:
    dx, dy = x - x.mean(), y - y.mean()
    spread = float((dx**2).sum())
    slope = float((dx * dy).sum() / spread)
    return _Line(slope, float(((dy - slope * dx) ** 2).sum()), len(x) - 2, spread)


def _off_the_line(line: _Line, y: Array, members: list[list[bool]]) -> bool:
    """Whether the models' means miss the line by more than seeds explain: the F test of lack of fit at the 25 % level.

    Source: Bancroft 1964, "Analysis and inference for incompletely specified models", on the level.
    """
    within = sum(float(((y[member] - y[member].mean()) ** 2).sum()) for member in members)
    free, free_within = len(members) - 2, len(y) - len(members)
    lack = line.residual - within
    if free < 1 or free_within < 1 or lack <= NOTHING:
        return False
    return bool(stats.f.sf((lack / free) / max(within / free_within, NOTHING), free, free_within) < LACK_OF_FIT_LEVEL)


def _quantile(confidence: float, degrees: int | None) -> float:
    tail = (1 + confidence) / 2
    return float(stats.norm.ppf(tail) if degrees is None else stats.t.ppf(tail, degrees))


def _verdict(low: float, high: float, delta: float) -> Dependence:
    if -delta <= low and high <= delta:
        return "independent"
    if low > 0:
        return "dependent"
    return "inverse" if high < 0 else "inconclusive"


def two_point_rule(ceg_low: float, ceg_high: float) -> Literal["independent", "dependent"]:
    """The paper's reading of its two scales: dependent if there was little or no gain at low compute and more at high.

    Little means up to 10 %, more means 10 % above. It looks at no interval, so noise decides close cases.

    Source: Sanderson et al. 2025, arXiv 2505.04075, Table 1.
    """
    return "dependent" if ceg_low <= SIMILAR and ceg_high >= SIMILAR * ceg_low else "independent"


@dataclass(frozen=True)
class _Settle:
    """What would make the interval narrow enough for a verdict, slope and scatter staying as they are."""

    slope: float
    scatter: float
    spread: float
    points: int
    confidence: float
    delta: float

    @property
    def _half(self) -> float:
        """Half-width that is enough: to exclude zero, or to stay within the tolerance, whichever is wider."""
        return max(abs(self.slope), self.delta - abs(self.slope))

    def seeds(self, now: float) -> int | None:
        """Smallest number of seeds a model above `now` that is enough."""
        for seeds in range(int(now) + 1, MAX_SEEDS + 1):
            points = self.points * seeds / now
            half = _quantile(self.confidence, max(1, round(points) - 2)) * self.scatter
            if half / np.sqrt(self.spread * seeds / now) <= self._half:
                return seeds
        return None

    def decades(self, now: float) -> float:
        """Decades of compute between the ends of a ladder of as many models, spaced alike, that are enough."""
        quantile = _quantile(self.confidence, self.points - 2 or None)
        return float(now * quantile * self.scatter / np.sqrt(self.spread) / self._half)
