"""Everything beyond the table of gains that the curves of a sweep tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from algoprog.ceg.cost import beside
from algoprog.ceg.curves import DATA_ENTRY, Curve, common_costs, curves_from_runs
from algoprog.ceg.estimator.by_loss import GainByLoss, gains_by_loss
from algoprog.ceg.fit.smoothing import long_enough
from algoprog.ceg.gains import ESTIMATORS, Gain, compute_gains
from algoprog.ceg.interactions import Interaction, interactions
from algoprog.ceg.ladder.predict import Prediction, predict
from algoprog.ceg.ladder.scale import ScaleDependence, scale_dependence
from algoprog.ceg.noise_floor import NoiseFloor, noise_floors
from algoprog.ceg.pairs.frontier import join_sizes
from algoprog.ceg.pairs.protocols import Difference, protocol_differences
from algoprog.ceg.tuning.choice import Tuning, tuned, tunings
from algoprog.report.page.section import Section
from algoprog.report.page.sections_rates import by_rate_section
from algoprog.report.summary import by_display_name, model_labels, summarise
from algoprog.report.words.naming import in_order
from algoprog.runs.record import BASELINE, SEARCH, Run

MODELS_FOR_A_SLOPE, MODELS_FOR_A_LAW = 2, 3


R = TypeVar("R", Gain, GainByLoss, Interaction)


@dataclass(frozen=True)
class Results:
    """Results of `algoprog.ceg` with models named as the groups are; what the sweep does not allow is empty."""

    gains: tuple[Gain, ...] = ()  # every estimator at the page's cost axis
    by_loss: tuple[GainByLoss, ...] = ()
    scale: tuple[ScaleDependence, ...] = ()  # at the page's cost axis and in seconds
    predictions: tuple[Prediction, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    floors: dict[str, NoiseFloor] | None = None
    tuning: tuple[Tuning, ...] = ()  # the models that were tuned
    by_rate: Section | None = None
    differences: tuple[Difference, ...] = ()  # settings in which the models of the ladder differ


def gather(
    gains: Sequence[Gain],
    runs: Sequence[Run],
    *,
    cost: str,
    confidence: float,
    curves: Sequence[Curve] | None = None,
    floors: Mapping[str, NoiseFloor] | None = None,
) -> Results:
    """All evidence at one cost axis.

    On a ladder every model stands once: at the best learning rate of each variant where rates were swept; a model that
    was run at other different settings leaves no ladder. `curves` are those of the runs, and `floors` what noise scores
    at this cost: what was made of them before is not made again.
    """
    baseline = gains[0].baseline if gains else BASELINE
    every = [curve for curve in curves or curves_from_runs(runs) if _usable(curve, cost)]
    curves = tuned(every, baseline)
    if all(curve.variant != baseline or curve.diverged for curve in curves):
        return Results()
    named = _Models(runs)
    found = tunings(every, baseline)
    estimates = compute_gains(
        every, estimators=tuple(ESTIMATORS), costs=(cost,), baseline=baseline, confidence=confidence
    )
    lines = gains_by_loss(curves, cost=cost, baseline=baseline, confidence=confidence)
    parts = interactions(curves, cost=cost, baseline=baseline, confidence=confidence)
    ladder = _ladder(join_sizes(curves, baseline), baseline)
    floors = noise_floors(curves, cost=cost, baseline=baseline) if floors is None else floors
    return Results(
        named(estimates),
        named(lines),
        tuple(_slopes(ladder, cost, baseline, confidence)),
        tuple(_predictions(ladder, cost, baseline, confidence)),
        named(parts),
        by_display_name(floors, runs),
        tuple(named.tuning(tuning) for tuning in found),
        by_rate_section(every, found, cost=cost, baseline=baseline, confidence=confidence),
        tuple(protocol_differences(curves)),
    )


class _Models:
    """Renames rows as the groups are labelled and puts them in the groups' order."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._labels = model_labels(runs)
        self._rank = {group.label: index for index, group in enumerate(summarise([], runs))}

    def __call__(self, rows: Sequence[R]) -> tuple[R, ...]:
        renamed = [replace(row, model=self._labels.get(row.model, row.model)) for row in rows]
        return tuple(sorted(renamed, key=lambda row: self._rank.get(row.model, len(self._rank))))

    def tuning(self, tuning: Tuning) -> Tuning:
        """The tuning of a model under the model's label."""
        return replace(tuning, model=self._labels.get(f"{tuning.model}@{tuning.cohort[:8]}", tuning.model))


def _usable(curve: Curve, cost: str) -> bool:
    """Whether gains can be read off the curve, or a trial was; a diverged one is kept for its flag."""
    axes = [axis for axis in dict.fromkeys((cost, beside(cost))) if axis in curve.costs]
    end = len(curve.val_loss) == 1 and DATA_ENTRY not in curve.protocol  # of a table of end points
    return end or curve.diverged or curve.role == SEARCH or all(long_enough(curve, axis) for axis in axes)


def _ladder(curves: Sequence[Curve], baseline: str) -> list[Curve]:
    """The curves, unless a model was run at several settings; what trains with no baseline is left out."""
    if len({(curve.model, curve.cohort) for curve in curves}) > len({curve.model for curve in curves}):
        return []
    finished = [curve for curve in curves if not curve.diverged]
    models = {curve.model for curve in finished if curve.variant == baseline}
    return [curve for curve in finished if curve.model in models]


def _slopes(ladder: Sequence[Curve], cost: str, baseline: str, confidence: float) -> list[ScaleDependence]:
    if len({curve.model for curve in ladder}) < MODELS_FOR_A_SLOPE:
        return []
    known = common_costs(ladder)
    axes = [axis for axis in dict.fromkeys((cost, beside(cost))) if axis in known and _spread(ladder, axis, baseline)]
    found = [scale_dependence(ladder, cost=axis, baseline=baseline, confidence=confidence) for axis in axes]
    return [row for rows in found for row in in_order(rows)]


def _spread(ladder: Sequence[Curve], cost: str, baseline: str) -> bool:
    """Whether the models cost different amounts, without which there is no slope."""
    ends = {round(math.log(c.points(cost)[0][-1]), 3) for c in ladder if c.variant == baseline}
    return len(ends) > 1


def _predictions(ladder: Sequence[Curve], cost: str, baseline: str, confidence: float) -> list[Prediction]:
    if len({curve.model for curve in ladder}) < MODELS_FOR_A_LAW or not _spread(ladder, cost, baseline):
        return []
    return in_order(predict(ladder, cost=cost, baseline=baseline, confidence=confidence))
