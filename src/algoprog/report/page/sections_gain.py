"""Sections about measured gains: against the target loss, by estimator, and what noise alone scores.

Each builder returns its section or, where the sweep has no evidence, one sentence on what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from algoprog.ceg.estimator.known import ESTIMATORS
from algoprog.ceg.gains import Gain
from algoprog.report.evidence import Results
from algoprog.report.figures.charts_gain import Range, by_loss_chart, estimators_chart
from algoprog.report.figures.style import Style
from algoprog.report.page.section import Section, Table
from algoprog.report.summary import Group, summarise
from algoprog.report.words.naming import order_variants
from algoprog.report.words.noise import floor_sentences
from algoprog.report.words.words import gain_text


def by_loss_section(
    evidence: Results, styles: Mapping[str, Style], noise: Mapping[str, Range], level: str
) -> Section | str:
    """How the gain changes as training goes on."""
    if not evidence.by_loss:
        return "Gain against target loss: no variant has a loss in common with its baseline."
    prose = (
        "The gain if training had been stopped earlier, from left to right: a flat line is a gain that lasts, a "
        f"falling one a head start. Band: {level} interval at each loss; grey: gains that the noise "
        "floor cannot tell from 1.",
    )
    return Section("Gain and target loss", prose, by_loss_chart(evidence.by_loss, styles, noise))


def estimators_section(
    evidence: Results, groups: Sequence[Group], noise: Mapping[str, Range], level: str
) -> Section | str:
    """What every estimator makes of the same curves."""
    chart = estimators_chart(evidence.gains, noise)
    if chart.empty:
        return "Estimators side by side: no variant has a gain."
    prose = (
        f"The same curves, read in five ways. Bars: {level} intervals; grey: the noise floor. Where estimators "
        "disagree, the curves are no power law, or differ in how their gain changes with the loss.",
        *(f"{name}: {own.summary}." for name, own in ESTIMATORS.items()),
    )
    labels = [group.label for group in groups if any(gain.model == group.label for gain in evidence.gains)]
    return Section("Estimators side by side", prose, chart, table=_estimators_table(evidence.gains, labels))


def _estimators_table(gains: Sequence[Gain], labels: Sequence[str]) -> Table:
    variants = order_variants(gain.variant for gain in gains if gain.variant != gain.baseline)
    groups = {group.label: group for group in summarise(gains, [])}
    rows = []
    for label in labels:
        for variant in variants:
            arm = groups[label].arm(variant)
            if arm is not None:
                rows.append((variant, label, *(gain_text(arm.gain(name, gains[0].cost)) for name in ESTIMATORS)))
    caption = "CEG by estimator; a: auxiliary, at the lowest loss that both reached."
    return Table(caption, ("variant", "model", *ESTIMATORS), tuple(rows))


def noise_section(evidence: Results, groups: Sequence[Group], cost: str, confidence: float) -> Section | str:
    """Which gains cannot be told from none."""
    found = floor_sentences(groups, evidence.floors or {}, cost=cost, confidence=confidence)
    if not found:
        return "Noise floor: it needs an arm that changes the kernel only; for unpaired seeds, two of the baseline."
    prose = (
        "Runs that compute the same function have a gain of 1 by construction: two kernels of one seed beside "
        "paired gains, two seeds of the baseline beside unpaired ones. What they score is noise. "
        f"All ranges are at {confidence:.0%} confidence.",
    )
    rows = tuple(found.items())
    return Section("Noise floor", prose, table=Table("What noise alone scores.", ("model", "noise floor"), rows, True))
