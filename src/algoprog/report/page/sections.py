"""The sections that show the evidence beyond the table of gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from algoprog.report.evidence import Results
from algoprog.report.figures.style import Style
from algoprog.report.page.section import Section
from algoprog.report.page.sections_context import contexts_section
from algoprog.report.page.sections_gain import by_loss_section, estimators_section, noise_section
from algoprog.report.page.sections_inference import (
    interactions_section,
    ladder_section,
    predictions_section,
    scale_section,
)
from algoprog.report.page.sections_tuning import tuning_section
from algoprog.report.summary import Group
from algoprog.report.words.noise import floor_range


def sections(
    evidence: Results, groups: Sequence[Group], styles: Mapping[str, Style], *, cost: str, confidence: float
) -> list[Section]:
    """Every section for which there is evidence, then one sentence for each that there is none for."""
    floors = evidence.floors or {}
    noise = {g.label: floor_range(floors[g.label], g, cost, confidence) for g in groups if g.label in floors}
    level = f"{confidence:.0%}"
    built = [
        by_loss_section(evidence, styles, noise, level),
        scale_section(evidence, styles, cost, level),
        ladder_section(evidence),
        predictions_section(evidence, level),
        interactions_section(evidence, level),
        estimators_section(evidence, groups, noise, level),
        noise_section(evidence, groups, cost, confidence),
        tuning_section(evidence, groups, styles),
        contexts_section(groups),
        evidence.by_rate,
    ]
    missing = tuple(reason for reason in built if isinstance(reason, str))
    found = [section for section in built if isinstance(section, Section)]
    return [*found, Section("What this sweep cannot tell", missing)] if missing else found
