"""Charts of what follows from the gains: predictions at a held-out model, interactions of changes."""

from __future__ import annotations

from collections.abc import Sequence

from algoprog.ceg.cost import COSTS
from algoprog.ceg.interactions import Interaction, Share
from algoprog.ceg.ladder.predict import Prediction
from algoprog.ceg.metric import METRICS
from algoprog.report.figures.chart import Chart, Panel, Series
from algoprog.report.figures.style import INK, Style
from algoprog.report.words.interaction import parts, pick

_PREDICTED, _OBSERVED = Style("#0a7cc4", (), "o"), Style("#d55e00", (), "D")
_ROLES = {"alone": Style("#0a7cc4", (), "o"), "added last": Style("#e69f00", (), "s")}
_ROLES |= {"Shapley share": Style("#009e73", (), "^")}
_JOINT, _PRODUCT = Style(INK, (), "D"), Style("#d55e00", (), "X")


def predictions_chart(found: Sequence[Prediction]) -> Chart:
    """Predicted and observed loss and gain at the held-out model."""
    ticks = tuple((float(place), row.variant) for place, row in enumerate(found))
    axis = COSTS[found[0].cost].title
    loss = _pair(
        [row.loss for row in found],
        [row.loss_observed for row in found],
        [(row.loss_low, row.loss_high) for row in found],
    )
    gain = _pair(
        [row.ceg for row in found],
        [row.ceg_observed for row in found],
        [(row.ceg_low, row.ceg_high) for row in found],
    )
    panels = (
        Panel(f"loss at {found[0].holdout}", loss, METRICS[found[0].metric].unit, ticks, log_y=False),
        Panel(f"gain at {found[0].holdout}", gain, f"CEG in {axis}", ticks, reference=1.0),
    )
    return Chart("predictions", "Predicted and observed loss and gain at the held-out model", "", panels)


def _pair(
    predicted: Sequence[float | None],
    observed: Sequence[float | None],
    spans: Sequence[tuple[float | None, float | None]],
) -> tuple[Series, ...]:
    low, high = tuple(span[0] for span in spans), tuple(span[1] for span in spans)
    left, right = (tuple(place + shift for place in range(len(predicted))) for shift in (-0.1, 0.1))
    return (
        Series("predicted", _PREDICTED, left, tuple(predicted), low, high),
        Series("observed", _OBSERVED, right, tuple(observed), hollow=True),
    )


def interactions_chart(found: Sequence[Interaction]) -> Chart:
    """One panel a model: each change alone, added last and its share; then all together beside the product."""
    label = "Gains of single changes and of all together, one panel a model"
    return Chart("interactions", label, "", tuple(_interaction(row) for row in found), columns=min(2, len(found)))


def _interaction(row: Interaction) -> Panel:
    names = parts(row)
    groups = dict(zip(_ROLES, (row.singles, row.last, row.shapley), strict=True))
    series = [
        _shares(role, _ROLES[role], [(i + shift, pick(shares, name)) for i, name in enumerate(names)])
        for shift, (role, shares) in zip((-0.15, 0.0, 0.15), groups.items(), strict=True)
        if shares
    ]
    last = float(len(names))
    series.append(_shares("all together", _JOINT, [(last - 0.1, row.joint)]))
    if row.redundancy is not None:
        product = Share("product", row.redundancy.ceg * row.joint.ceg, None, None)
        series.append(_shares("product of singles", _PRODUCT, [(last + 0.1, product)]))
    ticks = tuple((float(place), name) for place, name in enumerate([*names, "all"]))
    return Panel(row.model, tuple(series), "CEG", ticks, reference=1.0)


def _shares(name: str, style: Style, places: Sequence[tuple[float, Share | None]]) -> Series:
    known = [(x, share) for x, share in places if share is not None]
    columns = [(share.ceg, share.ci_low, share.ci_high) for _, share in known]
    y, low, high = (tuple(column) for column in zip(*columns, strict=True)) if columns else ((), (), ())
    return Series(name, style, tuple(x for x, _ in known), y, low, high)
