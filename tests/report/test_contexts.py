"""The page's table of losses beyond the trained context."""

from __future__ import annotations

from dataclasses import replace

from algoprog.report.page.sections_context import contexts_section
from algoprog.report.summary import summarise


def test_losses_by_context_are_means_over_seeds(measured) -> None:
    """Of those runs that were evaluated there; facts of other names are passed over."""

    def told(run):
        facts = {"val_loss_context_1": 3.0 + run.record.seed, "val_loss_context_4": 5.0, "val_loss_context_odd": 1.0}
        known = facts if run.record.variant == "rope" and run.record.model == "nano" else {}
        return replace(run, record=replace(run.record, facts=known))

    assert contexts_section(summarise([], measured.runs)) is None
    section = contexts_section(summarise([], [told(run) for run in measured.runs]))
    assert section is not None
    assert section.table is not None
    assert section.table.head == ("variant", "model", "1 x", "4 x")
    assert section.table.rows == (("rope", "nano", "3.500", "5.000"),)
