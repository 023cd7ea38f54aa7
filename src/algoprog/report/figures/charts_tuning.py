"""Chart of the search for a learning rate: loss over rate, the quadratic through the best, and what was chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from algoprog.ceg.tuning.choice import Tuning
from algoprog.ceg.tuning.search import around_best
from algoprog.ceg.tuning.trials import Trials
from algoprog.report.figures.chart import Chart, Panel, Series
from algoprog.report.figures.style import Style
from algoprog.report.words.naming import order_variants

_PARABOLA_POINTS = 25


def tuning_chart(found: Sequence[Tuning], styles: Mapping[str, Style], unit: str) -> Chart:
    """One panel a model: filled points are trials, lines quadratics, hollow points the chosen rates.

    Args:
        found: the searches.
        styles: of the variants.
        unit: of the losses.
    """
    panels = tuple(
        Panel(tuning.model, tuple(_series(tuning, styles)), f"final loss ({unit})", log_y=False) for tuning in found
    )
    label = "Final loss over learning rate, one panel a model"
    return Chart("learning-rate", label, "learning rate", panels, columns=min(2, len(panels)), log_x=True)


def _series(tuning: Tuning, styles: Mapping[str, Style]) -> Iterator[Series]:
    shown: list[Trials] = []
    for variant in order_variants(tuning.searches):
        search = tuning.searches[variant]
        if variant in styles and search not in shown:  # arms that share a search have one line
            shown.append(search)
            yield from _search(variant, styles[variant], search, tuning)


def _search(variant: str, style: Style, search: Trials, tuning: Tuning) -> Iterator[Series]:
    trials = [trial for trial in search.rates() if trial.loss is not None]
    if not trials:
        return
    yield Series(variant, style, tuple(t.rate for t in trials), tuple(t.loss for t in trials))
    near = around_best(trials)
    x, y = [math.log(trial.rate) for trial in near], [trial.loss or 0.0 for trial in near]
    law = np.polynomial.Polynomial.fit(x, y, 2) if len(near) >= 3 else None
    if law is not None:
        places = np.linspace(x[0], x[-1], _PARABOLA_POINTS)
        yield Series(variant, style, tuple(map(float, np.exp(places))), tuple(map(float, law(places))), kind="line")
    chosen = tuple(point[0] for point in tuning.stands_at(variant))
    losses = [_at(rate, x, y) if law is None else float(law(math.log(rate))) for rate in chosen]
    yield Series(variant, style, chosen, tuple(losses), hollow=True)


def _at(rate: float, x: Sequence[float], y: Sequence[float]) -> float | None:
    """The loss of the trial at a rate, where there are too few for a quadratic."""
    return next((loss for place, loss in zip(x, y, strict=True) if math.isclose(place, math.log(rate))), None)
