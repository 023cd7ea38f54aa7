"""Charts of measured gains: against the target loss, against compute, and by estimator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from algoprog.ceg.cost import COSTS
from algoprog.ceg.estimator.by_loss import GainByLoss
from algoprog.ceg.gains import ESTIMATORS, Gain
from algoprog.ceg.ladder.scale import ScaleDependence
from algoprog.ceg.metric import METRICS
from algoprog.report.figures.chart import Chart, Panel, Series
from algoprog.report.figures.style import Style
from algoprog.report.words.naming import in_order, order_variants
from algoprog.report.words.scale import verdict_word

Range = tuple[float, float]

_ESTIMATOR_STYLES = (
    Style("#0a7cc4", (), "o"),
    Style("#d55e00", (), "s"),
    Style("#009e73", (), "^"),
    Style("#cc79a7", (), "D"),
    Style("#e69f00", (), "v"),
    Style("#56b4e9", (), "P"),
    Style("#8f7fd6", (), "X"),
    Style("#8a8f98", (), "*"),
)
"""By the estimators' ranks; a ninth begins again."""

_FIT_POINTS = 25


def by_loss_chart(found: Sequence[GainByLoss], styles: Mapping[str, Style], noise: Mapping[str, Range]) -> Chart:
    """One panel a model: the gain at every loss that both runs reached, training to the right."""
    panels = tuple(
        Panel(
            model,
            tuple(_by_loss(row, styles[row.variant]) for row in in_order(r for r in found if r.model == model)),
            f"CEG in {COSTS[found[0].cost].title}",
            reference=1.0,
            noise=noise.get(model),
        )
        for model in dict.fromkeys(row.model for row in found)
    )
    label = "Gain against target loss, one panel a model"
    title = f"target loss ({METRICS[found[0].metric].unit})"
    return Chart("gain-by-loss", label, title, panels, columns=min(3, len(panels)), falling_x=True, share_y=True)


def _by_loss(row: GainByLoss, style: Style) -> Series:
    columns = (row.target_loss, row.ceg, row.ci_low, row.ci_high)
    x, y, low, high = (tuple(float(value) for value in column) for column in columns)
    return Series(row.variant, style, x, y, low, high, kind="line")


def scale_chart(found: Sequence[ScaleDependence], styles: Mapping[str, Style]) -> Chart:
    """One panel a variant: its gain at every model and the fitted slope with its band."""
    panels = tuple(
        Panel(
            f"{row.variant}: {verdict_word(row)}",
            (_fit(row, styles[row.variant]), _measured(row, styles[row.variant])),
            f"CEG in {COSTS[row.cost].title}",
            reference=1.0,
        )
        for row in found
    )
    title = f"{COSTS[found[0].cost].title} of the baseline"
    label = "Gain against compute with the fitted slope, one panel a variant"
    columns = min(3, len(panels))
    return Chart("scale-dependence", label, title, panels, columns=columns, log_x=True, share_y=True, legend=False)


def _measured(row: ScaleDependence, style: Style) -> Series:
    return Series(row.variant, style, tuple(map(math.exp, row.log_cost)), tuple(map(math.exp, row.log_gain)))


def _fit(row: ScaleDependence, style: Style) -> Series:
    """The fitted line; its band turns around the middle of the ladder by the slope's interval."""
    first, last = row.log_cost[0], row.log_cost[-1]
    middle = sum(row.log_cost) / len(row.log_cost)
    places = [first + (last - first) * index / (_FIT_POINTS - 1) for index in range(_FIT_POINTS)]
    centre = row.intercept + row.slope * middle
    y = tuple(math.exp(row.intercept + row.slope * place) for place in places)
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    if row.slope_low is not None and row.slope_high is not None:
        ends = [[centre + slope * (place - middle) for slope in (row.slope_low, row.slope_high)] for place in places]
        low, high = (tuple(_exp(side(pair)) for pair in ends) for side in (min, max))
    return Series("fit", style, tuple(map(math.exp, places)), y, low, high, kind="line")


def _exp(value: float) -> float:
    return math.exp(min(max(value, -50.0), 50.0))


def estimators_chart(gains: Sequence[Gain], noise: Mapping[str, Range]) -> Chart:
    """One panel a model: every estimator's gain of every variant beside the others."""
    known = [gain for gain in gains if gain.kind != "bound" and gain.variant != gain.baseline]
    panels = tuple(
        _estimators([gain for gain in known if gain.model == model], model, noise.get(model))
        for model in dict.fromkeys(gain.model for gain in known)
    )
    return Chart("estimators", "Gains by estimator, one panel a model", "", panels)


def _estimators(gains: Sequence[Gain], model: str, noise: Range | None) -> Panel:
    variants = order_variants(gain.variant for gain in gains)
    series = []
    for index, name in enumerate(ESTIMATORS):
        shift = 0.13 * (index - (len(ESTIMATORS) - 1) / 2)
        own = [gain for gain in gains if gain.estimator == name]
        x = tuple(variants.index(gain.variant) + shift for gain in own)
        low, high = tuple(gain.ci_low for gain in own), tuple(gain.ci_high for gain in own)
        series.append(Series(name, _style(index), x, tuple(gain.ceg for gain in own), low, high))
    ticks = tuple((float(place), variant) for place, variant in enumerate(variants))
    title = f"CEG in {COSTS[gains[0].cost].title}"
    return Panel(model, tuple(series), title, ticks, reference=1.0, noise=noise)


def _style(rank: int) -> Style:
    return _ESTIMATOR_STYLES[rank % len(_ESTIMATOR_STYLES)]
