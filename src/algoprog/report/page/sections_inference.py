"""Sections about what follows from the gains: scale dependence, predictions, interactions.

Each builder returns its section or, where the sweep has no evidence, one sentence on what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping

from algoprog.ceg.ladder.predict import Prediction
from algoprog.ceg.ladder.scale import ScaleDependence
from algoprog.report.evidence import Results
from algoprog.report.figures.charts_gain import scale_chart
from algoprog.report.figures.charts_inference import interactions_chart, predictions_chart
from algoprog.report.figures.style import Style
from algoprog.report.page.section import Section, Table
from algoprog.report.words.interaction import overlap, parts, pick, share
from algoprog.report.words.naming import loss, ratio, slope
from algoprog.report.words.prediction import LAW_WORDS, covered, factor, score, span
from algoprog.report.words.scale import per_decade, settle, verdict_word


def scale_section(evidence: Results, styles: Mapping[str, Style], cost: str, level: str) -> Section | str:
    """Whether gains change with compute."""
    rows = [row for row in evidence.scale if row.cost == cost]
    if not rows:
        return "Scale dependence: it needs a variant and the baseline at two models or more, each at one setting."
    prose = [
        f"Points: measured, mean over seeds; line: fit of ln CEG on ln compute; band: its slope's {level} interval. "
        "Independent: the gain changes by less than 10 % per decade of compute. The paper's two-point rule looks at "
        "the smallest and the largest model only and at no interval."
    ]
    if max(len(row.models) for row in rows) < 3:
        prose.append(
            "Two models: a line through two points always fits, and with one seed each the band is of evaluation "
            "noise alone, so these verdicts wait for a third model."
        )
    head = ("variant", "slope", f"{level} interval", "per decade", "verdict", "two-point rule", "what would settle it")
    caption = "Slope of ln CEG on ln compute, and what ten times the compute multiplies the gain by."
    table = Table(caption, head, tuple(_scale_row(row) for row in rows))
    return Section("Scale dependence", tuple(prose), scale_chart(rows, styles), table=table)


def _scale_row(row: ScaleDependence) -> tuple[str, ...]:
    low, high = row.slope_low, row.slope_high
    rest = settle(row).removeprefix(f"{row.variant}: ") or ("settled" if len(row.models) > 2 else "a third model")
    return (
        row.variant,
        slope(row.slope),
        "unknown" if low is None or high is None else f"{slope(low)} to {slope(high)}",
        f"\N{MULTIPLICATION SIGN}{per_decade(row.slope)}",
        verdict_word(row),
        row.two_point,
        rest,
    )


def ladder_section(evidence: Results) -> Section | None:
    """The settings in which the models differ; None where the ladder is clean."""
    if not evidence.differences:
        return None
    models = list(dict.fromkeys(model for found in evidence.differences for model in found.values))
    prose = (
        "These models differ in more than size and budget, so a change of the gain with the model may come from any of "
        "these settings. All their gains are flagged mixed-ladder.",
    )
    rows = tuple(
        (found.setting, *(" | ".join(found.values.get(model, ("-",))) for model in models))
        for found in evidence.differences
    )
    table = Table("Settings that differ between models.", ("setting", *models), rows, words=True)
    return Section("Mixed ladder", prose, table=table)


def predictions_section(evidence: Results, level: str) -> Section | str:
    """What laws fitted to the smaller models say about the largest, and how wrong they are."""
    rows = evidence.predictions
    if not rows:
        return "Predictions: they need three models, two for a law and a larger one to test it, each at one setting."
    first = rows[0]
    prose = [
        f"Laws fitted to {', '.join(first.models)} predict {first.holdout}, which they have not seen. "
        f"{LAW_WORDS[first.law]} Bars: {level} prediction intervals, of what is measured there: they have what the law "
        f"misses and the scatter of seeds. {covered(rows, level)} {score(rows)}"
    ]
    if any("no-floor" in row.flags for row in rows):
        prose.append(
            "Two fitted models cannot show which part of the loss no compute removes: it was taken as anything up to "
            "the lowest loss, so the losses have wide intervals. The gains do not depend on it."
        )
    same = f"as at {first.models[-1]}"
    head = ("variant", "exponent", "loss", "observed", "CEG", "observed", "law off by", f"{same} off by", "1 off by")
    caption = (
        "Predicted with prediction intervals, and observed; then the factors by which the law and two naive guesses "
        "miss the observed CEG."
    )
    table = Table(caption, head, tuple(_prediction_row(row) for row in rows))
    return Section("Predictions", tuple(prose), predictions_chart(rows), table=table)


def _prediction_row(row: Prediction) -> tuple[str, ...]:
    return (
        row.variant,
        f"{row.exponent:.3f} {span(row.exponent_low, row.exponent_high)}",
        f"{loss(row.loss)} {span(row.loss_low, row.loss_high)}",
        loss(row.loss_observed),
        f"{ratio(row.ceg)} {span(row.ceg_low, row.ceg_high)}",
        ratio(row.ceg_observed),
        *(factor(error) for error in (row.error, row.error_same_as_largest, row.error_no_gain)),
    )


def interactions_section(evidence: Results, level: str) -> Section | str:
    """Whether the gains of single changes multiply."""
    found = evidence.interactions
    if not found:
        return "Interactions: they need a variant that joins changes, such as ln+rope, and each of them alone."
    prose = (
        "Alone: the change over the baseline. Added last: on top of all others. Shapley share: its part in the joint "
        "gain over all orders, so that the shares multiply to it.",
        *(f"{row.model}: {overlap(row)}" for row in found),
    )
    head = ("change", "model", "alone", "added last", "Shapley share")
    caption = f"Gain of each change with its {level} interval; a dash where the sweep lacks the arms for it."
    rows = tuple(
        (part, row.model, *(share(pick(shares, part)) for shares in (row.singles, row.last, row.shapley)))
        for row in found
        for part in parts(row)
    )
    return Section("Interactions", prose, interactions_chart(found), table=Table(caption, head, rows))
