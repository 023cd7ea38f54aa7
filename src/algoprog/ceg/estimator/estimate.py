"""What every estimator answers for one pair of runs, and the interface it answers through."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from statistics import fmean
from typing import Any, ClassVar, Literal, Self

from algoprog.ceg.curves import Curve

Target = Literal["final", "min"] | float
"""The baseline's last loss, the baseline's lowest loss, or a loss in nats per token."""


@dataclass(frozen=True)
class Estimate:
    """ln CEG of one pair of runs.

    Where the target was reached by both, `log_gain` is taken there; otherwise at `auxiliary_target`, the lowest loss
    that both reached, and `log_bound` is what the unreached target still tells (an upper bound when the variant
    did not reach it, a lower bound when the baseline did not, None when neither did).
    """

    target: float  # nats per token
    log_gain: float
    error: Callable[[], float] = field(repr=False)  # see log_sd; only computed where one seed has to do
    auxiliary_target: float | None = None
    log_bound: float | None = None
    bound_is_upper: bool = True
    flags: tuple[str, ...] = ()
    correction: float = 0.0  # what the slope between ends that just miss each other adds to log_gain
    degrees: int | None = None  # of freedom of the error, where the runs themselves tell one that a seed may have
    settling_budget: float | None = None  # times its budget for the baseline to end at the variant's loss; if it has to
    misreadings: tuple[float, ...] = ()  # of ln CEG between ends; the sum of squares is its variance

    @property
    def log_sd(self) -> float:
        """Standard deviation of `log_gain` from evaluation noise alone."""
        return self.error()

    @property
    def reached(self) -> bool:
        """Whether both runs reached the target."""
        return self.auxiliary_target is None


SETTING = "setting"
"""Key under which a field's metadata say what it does, for `--estimator`."""


def setting(default: Any, words: str) -> Any:
    """A field that can be set on the command line: `--estimator paper:shift=.1`."""
    return field(default=default, metadata={SETTING: words})


@dataclass(frozen=True)
class Estimator(ABC):
    """CEG of a variant's run over a baseline's run of the same model and seed.

    A subclass in this folder is on the command line, in tables and in the schema by its name. Fields made by `setting`
    can be set; what an estimator learns from all pairs of a variant, or from the whole ladder, goes into others.
    """

    rank: ClassVar[int]  # place among the estimators
    name: ClassVar[str]
    summary: ClassVar[str]  # half a sentence for help and legends
    source: ClassVar[str]  # who published it; empty for our own
    joins_sizes: ClassVar[bool] = False  # whether it compares the ends of several sizes where a table has no curves

    @abstractmethod
    def __call__(self, baseline: Curve, variant: Curve, cost: str, target: Target) -> Estimate:
        """Estimate ln CEG = ln(cost of the baseline / cost of the variant) at equal loss.

        Raises:
            ValueError: a curve lacks the cost axis or has too few evaluations.
        """

    def over(self, pairs: Sequence[tuple[Curve, Curve]], cost: str, target: Target) -> Self:
        """The estimator for these pairs of a variant, one a seed, for what is decided for all of them together."""
        return self

    def on_ladder(self, baselines: Mapping[str, Sequence[Curve]], cost: str) -> Self:
        """The estimator for a sweep whose baseline was trained as these runs of each model, by model."""
        return self

    @property
    def label(self) -> str:
        """The name, with the settings that are not the documented ones: `paper(shift=0.1)`."""
        changed = [f"{own.name}={getattr(self, own.name)}" for own in self.settings() if self._changed(own)]
        return f"{self.name}({','.join(changed)})" if changed else self.name

    @classmethod
    def settings(cls) -> list[Field[Any]]:
        """The fields that can be set."""
        return [own for own in fields(cls) if SETTING in own.metadata]

    def _changed(self, own: Field[Any]) -> bool:
        return bool(getattr(self, own.name) != own.default)


SAME_LOSS = 1e-6
"""Nats by which a target may be missed and count as reached: another order of summation moves a loss by less."""

NEGLIGIBLE = 5e-4
"""A correction of ln CEG that is not shown."""

CostAt = Callable[[float], float]
"""ln of the cost at which a run first reached a loss; asked only for losses that it reached."""


def compare(
    wanted: float,
    lowest: tuple[float, float],
    log_cost_at: tuple[CostAt, CostAt],
    log_ends: tuple[float, float],
    log_sd: Callable[[float], float],
    flags: Callable[[tuple[float, float]], tuple[str, ...]],
) -> Estimate:
    """The estimate from what (baseline, variant) reached: at the target, or at the auxiliary target with the bound.

    The auxiliary target is the lowest loss that both reached; `log_sd` gives the error of ln CEG at a loss, `flags`
    what to say of the ln costs that were read off.
    """
    common = max(wanted, *lowest)
    at = log_cost_at[0](common), log_cost_at[1](common)
    log_gain, said = at[0] - at[1], flags(at)
    if common - wanted <= SAME_LOSS:
        return Estimate(wanted, log_gain, lambda: log_sd(common), flags=said)
    bound, upper = None, lowest[0] <= wanted
    if upper:
        bound = log_cost_at[0](wanted) - log_ends[1]
    elif lowest[1] <= wanted:
        bound = log_ends[0] - log_cost_at[1](wanted)
    return Estimate(wanted, log_gain, lambda: log_sd(common), common, bound, upper, said)


def between_ends(estimates: Sequence[Estimate]) -> tuple[float | None, float | None]:
    """What a row says of the way from one end to another: slope correction and settling budget, means over seeds.

    A correction that changes no third decimal of the CEG is not worth a word.
    """
    correction = fmean(estimate.correction for estimate in estimates)
    budgets = [math.log(estimate.settling_budget) for estimate in estimates if estimate.settling_budget is not None]
    return (
        math.exp(correction) if abs(correction) > NEGLIGIBLE else None,
        math.exp(fmean(budgets)) if budgets else None,
    )
