"""Write a sweep's report: figures as files and one page that shows everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from algoprog.ceg.cost import beside
from algoprog.ceg.curves import Curve
from algoprog.ceg.gains import Gain
from algoprog.ceg.noise_floor import NoiseFloor
from algoprog.report.evidence import Results, gather
from algoprog.report.figures.draw import draw_figures, write_figures
from algoprog.report.figures.style import styles
from algoprog.report.page.html import render
from algoprog.report.page.section import Section
from algoprog.report.page.sections import sections
from algoprog.report.summary import summarise
from algoprog.runs.record import BASELINE, FIGURES, REPORT_FILE, Run
from algoprog.runs.store import write_atomic


def write_report(
    folder: Path,
    gains: Sequence[Gain],
    runs: Sequence[Run],
    *,
    cost: str = "flops",
    confidence: float = 0.9,
    command: str | None = None,
    extra: Sequence[Section] = (),
    curves: Sequence[Curve] | None = None,
    inputs: str | None = None,
    floors: Mapping[str, NoiseFloor] | None = None,
) -> Path:
    """Write `figures/*.svg`, `figures/*.png` and `report.html`; returns the page's path.

    Args:
        folder: where to write, usually the sweep's own folder.
        gains: what `compute_gains` returned; may be empty.
        runs: the runs behind the gains; may be empty.
        cost: cost axis that the page opens with and that verdicts use.
        confidence: level that the gains' intervals were computed for.
        command: the command line of the whole sweep, or several of them, one a line; shown for repeating it.
        extra: sections to show after those of the sweep, such as the literature.
        curves: those of the runs, where fits that were made of them are to be used again, or in place of runs.
        inputs: fingerprint of what the page is drawn from, which it carries.
        floors: what `noise_floors` returned at this cost axis, where it was asked before.
    """
    groups = summarise(gains, runs, () if runs else curves or ())
    baselines = [group.baseline for group in groups] or [BASELINE]
    looks = styles([arm.variant for group in groups for arm in group.arms], baselines[0])
    evidence = (
        gather(gains, runs, cost=cost, confidence=confidence, curves=curves, floors=floors) if gains else Results()
    )
    shown = [*sections(evidence, groups, looks, cost=cost, confidence=confidence), *extra]
    measured = {gain.cost for gain in gains}
    costs = [name for name in dict.fromkeys((cost, beside(cost))) if name in measured]
    others = {section.stem: section.drawing for section in shown if section.drawing is not None}
    figures = draw_figures(groups, looks, costs=costs, others=others)
    page = render(
        groups,
        figures,
        looks,
        scale=evidence.scale,
        sections=shown,
        cost=cost,
        confidence=confidence,
        command=command,
        inputs=inputs,
    )
    write_figures(folder / FIGURES, figures)
    write_atomic(folder / REPORT_FILE, page)
    return folder / REPORT_FILE
