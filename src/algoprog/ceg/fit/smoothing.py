"""Fit trends: powers of cost, a cosine annealing part, and penalised wiggles for what those miss."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
from scipy.interpolate import PchipInterpolator

from algoprog.ceg.curves import Array, Curve
from algoprog.ceg.fit.spline import Solution, Wiggles, solve
from algoprog.ceg.fit.trend import GRID, Trend

RANGE = 32.0
"""Evaluations at less than 1 / RANGE of the run's cost are not smoothed: warm-up would bend the rest of the fit."""

EXPONENTS = (0.03, 0.08, 0.13, 0.2, 0.27, 0.35, 0.45, 0.55, 0.7, 0.9)
EARLY = 0.7
"""How much steeper the second power is, which bends the start of the curve."""

WIGGLE_SCALE = 0.3
"""Wiggles may be as much larger early on as a power law of this exponent is."""

MIN_POINTS = 4
MIN_ENDS = 2
FEW_POINTS, FEW_ENDS = 10, 3
POOLING_LIMIT = 2.5
FORGOTTEN, LONGEST = 0.2, 0.9
"""Lag-one correlations of the noise that are told from none, and at most believed."""


def least_points(curve: Curve) -> int:
    """How many evaluations a trend of the curve needs: ends of budgets are few, but each is worth a run."""
    return MIN_ENDS if curve.annealed else MIN_POINTS


def long_enough(curve: Curve, cost: str) -> bool:
    """Whether a curve has the evaluations that a trend needs."""
    return len(curve.points(cost)[0]) >= least_points(curve)


def too_few(curve: Curve, trend: Trend) -> bool:
    """Whether a trend rests on so few evaluations, or ends, that it deserves a warning."""
    return trend.n_points < (FEW_ENDS if curve.annealed else FEW_POINTS)


def trend_of(curve: Curve, cost: str) -> Trend:
    """The trend of a curve by itself.

    Raises:
        ValueError: fewer than four evaluations are usable.
    """
    shape, end = _shape(curve, cost)
    return shape.trend(int(np.argmin(shape.misfit))).moved(end)


def paired_trends(one: Curve, other: Curve, cost: str, exponent: int | None = None) -> tuple[Trend, Trend, float]:
    """Trends of two runs that share what one run tells badly: the exponent and the annealing part.

    Both runs follow one learning-rate schedule, so what smoothing gets wrong about the shape is wrong in both alike and
    leaves their ratio alone. The exponent, an index of `EXPONENTS`, is the likeliest unless given. The annealing parts
    are averaged by their precision unless they differ by more than 2.5 standard errors. The last value is the standard
    error of the common annealing part, 0 where each kept its own.

    Raises:
        ValueError: fewer than four evaluations are usable.
    """
    best = int(np.argmax(exponent_odds(one, other, cost))) if exponent is None else exponent
    a, b = (shape.trend(best).moved(end) for shape, end in (_shape(one, cost), _shape(other, cost)))
    if not (a.anneal_sd > 0 and b.anneal_sd > 0):
        return a, b, 0.0
    if abs(a.anneal - b.anneal) > POOLING_LIMIT * float(np.hypot(a.anneal_sd, b.anneal_sd)):
        return a, b, 0.0
    precision = a.anneal_sd**-2, b.anneal_sd**-2
    anneal = (a.anneal * precision[0] + b.anneal * precision[1]) / sum(precision)
    sd = float(sum(precision) ** -0.5)
    return a.corrected(anneal, sd), b.corrected(anneal, sd), sd


def exponent_odds(one: Curve, other: Curve, cost: str) -> Array:
    """Probability of each of `EXPONENTS` given both runs, before any wiggles: (misfit / least)^(-n / 2), normalised."""
    log_odds = np.zeros(len(EXPONENTS))
    for shape, _ in (_shape(one, cost), _shape(other, cost)):
        least = max(float(shape.misfit.min()), 1e-12)
        log_odds -= len(shape.u) / 2 * np.log(np.maximum(shape.misfit, least) / least)
    odds = np.exp(log_odds - log_odds.max())
    return np.asarray(odds / odds.sum())


_SHAPES: WeakKeyDictionary[Curve, dict[bytes, _Shape]] = WeakKeyDictionary()


def _shape(curve: Curve, cost: str) -> tuple[_Shape, float]:
    """The shape of a curve and the ln of its last cost; cost axes in a fixed proportion share one shape."""
    x, loss = curve.points(cost)
    if len(x) < (least := least_points(curve)):
        raise ValueError(f"{curve} has {len(x)} usable evaluations: at least {least} are needed, evaluate oftener")
    u = np.log(x / x[-1])
    shapes = _SHAPES.setdefault(curve, {})
    key = np.round(u, 6).tobytes()
    if key not in shapes:
        shapes[key] = _Shape(u, loss, ends=curve.annealed)
    return shapes[key], float(np.log(x[-1]))


class _Shape:
    """The evaluations of one curve against u = ln(cost / last cost), and its trends, one an exponent.

    Ends of budgets have no annealing part: what it takes away is taken from all of them. A few of them are joined, not
    smoothed: they are measured on the same windows, so that what is off between them is the run, not the evaluation,
    and no law holds where some budgets end before the model has left its first plateau.
    """

    def __init__(self, u: Array, loss: Array, *, ends: bool) -> None:
        self.anneals = not ends and len(u) >= 2 * MIN_POINTS
        self.joined = ends and len(u) < 2 * MIN_POINTS
        first = max(0, min(int(np.searchsorted(u, -np.log(RANGE))), len(u) - MIN_POINTS))
        self.u, self.loss = u[first:], loss[first:]
        self.early = u[:first], loss[:first]
        self.grid = np.linspace(self.u[0], self.u[-1], GRID)
        both = np.concatenate([self.u, self.grid])
        # wiggles may be larger early on, as the fall of the loss is
        wiggles = Wiggles.on(self.u).at(both) * np.exp(-WIGGLE_SCALE * both)[:, None]
        self.wiggles, self.grid_wiggles = wiggles[: len(self.u)], wiggles[len(self.u) :]
        self.misfit = _misfit(self._fixed(self.u, np.array(EXPONENTS)), self.loss)
        self._trends: dict[int, Trend] = {}

    def _fixed(self, u: Array, exponents: Array) -> Array:
        """Columns without penalty, (exponent, abscissa, column): annealing, 1, two powers of cost.

        The learning rate of a cosine schedule is half of 1 + cos(pi share of the run). Very short curves can tell
        neither the annealing part nor the second power.
        """
        power = np.exp(-np.multiply.outer(exponents, u))
        columns = [np.ones_like(power), power]
        if not self.few:
            columns.append(power * np.exp(-EARLY * u))
        if self.anneals:
            columns.insert(0, np.broadcast_to((1 + np.cos(np.pi * np.exp(u))) / 2, power.shape))
        return np.stack(columns, axis=-1)

    @property
    def few(self) -> bool:
        """Whether the evaluations tell no more than a level and one power of cost."""
        return len(self.u) < 2 * MIN_POINTS

    def trend(self, index: int) -> Trend:
        """The trend with one of `EXPONENTS`; log cost relative to the end."""
        if self.joined:
            index = 0  # no exponent is needed
        if index not in self._trends and self.joined:
            self._trends[index] = _joined(self.u, self.loss, self.grid)
        elif index not in self._trends:
            exponent = np.array(EXPONENTS[index : index + 1])
            solution = self._solve(self._fixed(self.u, exponent)[0])
            self._trends[index] = self._on_grid(solution, self._fixed(self.grid, exponent)[0])
        return self._trends[index]

    def _solve(self, fixed: Array) -> Solution:
        """The fit for independent noise or, where that is likelier, for noise with a memory.

        Noise that lasts from one evaluation to the next looks like wiggles; both explanations are compared by their
        restricted likelihood. The memory that is tried is the lag-one correlation of what the fixed columns leave.
        """
        if self.few:
            return _least_squares(fixed, self.wiggles.shape[1], self.loss)
        plain = solve(fixed, self.wiggles, self.loss)
        memory = _lag_one(fixed, self.loss)
        if memory < FORGOTTEN:
            return plain
        whitened = (_whiten(values, memory) for values in (fixed, self.wiggles, self.loss))
        other = solve(*whitened)
        return other if other.score + (len(self.u) - 1) * np.log(1 - memory**2) < plain.score else plain

    def _on_grid(self, solution: Solution, fixed: Array) -> Trend:
        """Evaluate a fit on a fine grid; before the smoothed range the curve is steep and its raw points serve."""
        design = np.column_stack([fixed, self.grid_wiggles])
        spread = design @ solution.covariance
        error = np.sqrt(np.maximum((spread * design).sum(1), 0.0))
        variance = solution.covariance[0, 0] if self.anneals else 0.0
        lever = spread[:, 0] / variance if variance > 0 else np.zeros(GRID)
        noise = float(np.sqrt(solution.variance))
        u, loss = self.early
        return Trend(
            log_cost=np.concatenate([u, self.grid]),
            loss=np.concatenate([loss, design @ solution.coefficients]),
            error=np.concatenate([np.full(len(u), noise), error]),
            noise_sd=noise,
            n_points=len(self.u),
            anneal=float(solution.coefficients[0]) if self.anneals else 0.0,
            anneal_sd=float(np.sqrt(variance)),
            lever=np.concatenate([np.zeros(len(u)), lever]),
        )


def _joined(u: Array, loss: Array, grid: Array) -> Trend:
    """The monotone cubic through ends of budgets; their error is what leaving one out tells.

    Source: Fritsch and Butland 1984, "A method for constructing local monotone piecewise cubic interpolants".
    """
    unknown, nothing = np.full(GRID, np.nan), np.zeros(GRID)
    values = np.asarray(PchipInterpolator(u, loss)(grid))
    trend = Trend(grid, values, unknown, 0.0, len(u), anneal=0.0, anneal_sd=0.0, lever=nothing)
    return replace(trend, knots=u, left_out=_left_out(u, loss))


def _left_out(u: Array, loss: Array) -> Array:
    """What each inner end lies above the curve through the others, where three of those are left."""
    inner = range(1, len(u) - 1) if len(u) >= MIN_POINTS else ()
    others = [PchipInterpolator(np.delete(u, i), np.delete(loss, i)) for i in inner]
    return np.array([loss[i] - float(curve(u[i])) for i, curve in zip(inner, others, strict=True)])


def _least_squares(fixed: Array, wiggles: int, loss: Array) -> Solution:
    """The fit of fixed columns alone; its errors are NaN where no evaluation is left to tell them."""
    rows, columns = fixed.shape
    coefficients, *_ = np.linalg.lstsq(fixed, loss, rcond=None)
    residual = loss - fixed @ coefficients
    variance = float(residual @ residual) / (rows - columns) if rows > columns else float("nan")
    covariance = np.zeros((columns + wiggles, columns + wiggles))
    covariance[:columns, :columns] = np.linalg.pinv(fixed.T @ fixed) * variance
    return Solution(np.concatenate([coefficients, np.zeros(wiggles)]), covariance, variance, 0.0)


def _misfit(designs: Array, loss: Array) -> Array:
    """Sum of squares that ordinary least squares leaves, for each of several designs."""
    q, _ = np.linalg.qr(designs)
    explained = (np.einsum("enk,n->ek", q, loss) ** 2).sum(1)
    return np.maximum(loss @ loss - explained, 0.0)


def _lag_one(design: Array, loss: Array) -> float:
    """Correlation between neighbours of the residuals of ordinary least squares."""
    q, _ = np.linalg.qr(design)
    residual = loss - q @ (q.T @ loss)
    total = float(residual @ residual)
    return min(float(residual[1:] @ residual[:-1]) / total, LONGEST) if total > 0 else 0.0


def _whiten(values: Array, memory: float) -> Array:
    """Rows after which first-order autoregressive noise of variance 1 is independent of variance 1."""
    later = (values[1:] - memory * values[:-1]) / np.sqrt(1 - memory**2)
    return np.concatenate([values[:1], later])
