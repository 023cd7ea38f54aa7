"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from algoprog.axes import AXES
from algoprog.ceg.cost import COSTS
from algoprog.ceg.ladder.scale import ScaleDependence
from algoprog.report.figures.draw import Drawn
from algoprog.report.figures.style import GRID, INK, Style
from algoprog.report.page.gains import rows
from algoprog.report.page.interactive import chart_data, json_data, plotting_library
from algoprog.report.page.section import Section
from algoprog.report.provenance import provenance
from algoprog.report.summary import SHOWN_ESTIMATORS, Group
from algoprog.report.words import naming, words
from algoprog.report.words.charges import charge_sentences
from algoprog.report.words.order import OTHER
from algoprog.report.words.verdicts import verdicts


def render(
    groups: Sequence[Group],
    figures: Sequence[Drawn],
    styles: dict[str, Style],
    *,
    scale: Sequence[ScaleDependence],
    sections: Sequence[Section],
    cost: str,
    confidence: float,
    command: str | None,
    inputs: str | None,
) -> str:
    """The whole page; names from records are escaped by the templates, never here."""
    charts = {figure.stem: inline_svg(figure) for figure in figures}
    measured = {gain.cost for group in groups for arm in group.arms for gain in arm.gains} or {*COSTS}
    costs = {name: cost.title for name, cost in COSTS.items() if name in measured}
    gain_rows = {name: rows(groups, name, costs) for name in costs}
    changed = {axis for table in gain_rows.values() for row in table for axis in row.axes}
    return (
        _environment()
        .get_template("report.html")
        .render(
            groups=groups,
            verdicts=verdicts(groups, scale, cost=cost, confidence=confidence),
            charges=list(charge_sentences(groups)),
            variants=naming.order_variants(arm.variant for group in groups for arm in group.arms),
            gain_rows=gain_rows,
            axes=[axis for axis in (*AXES, OTHER) if axis in changed],
            costs=costs,
            cost=cost,
            estimators=SHOWN_ESTIMATORS,
            confidence=confidence,
            charts=charts,
            data=chart_data(groups, styles, cost=cost, costs=costs)
            | {"charts": [json_data(section.chart) for section in sections if section.chart]},
            sections=sections,
            own={section.stem for section in sections},
            library=Markup(plotting_library() if charts else ""),
            flags=flag_table(groups),
            origin=provenance([run.record for group in groups for run in group.runs]) | sources(groups),
            command=command,
            inputs=inputs,
        )
    )


def sources(groups: Sequence[Group]) -> dict[str, Any]:
    """What is known of curves that have no records: how many there are, and their files."""
    curves = [curve for group in groups for arm in group.arms if not arm.runs for curve in arm.curves]
    return {
        "n_curves": len(curves),
        "n_curve_seeds": len({curve.seed for curve in curves}),
        "prices": list(dict.fromkeys(curve.prices for curve in curves if curve.prices)),
        "files": list(dict.fromkeys(curve.source for curve in curves if curve.source)),
    }


def inline_svg(figure: Drawn) -> Markup:
    """The figure for the page: its own ids, the page's colours and font, no fixed size."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{figure.stem}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)  # a hundredth of a point
    for color, variable in ((INK, "ink"), (GRID, "line"), ("#ffffff", "page")):
        svg = svg.replace(color, f"var(--{variable})")
    return Markup(svg.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'"))


def breakable(name: str) -> Markup:
    """The escaped name with places where a narrow column may break it."""
    return Markup("+<wbr>").join(name.split("+"))


def flag_table(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Every flag that was raised, what it means, and the arms that carry it."""
    where: dict[str, list[str]] = {}
    for group in groups:
        for arm in group.arms:
            for flag in arm.flags():
                where.setdefault(flag, []).append(f"{arm.variant} ({group.label})")
    return [{"flag": f, "meaning": words.explain(f), "where": places} for f, places in sorted(where.items())]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("algoprog.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # variants keep their order
    environment.filters.update(
        loss=naming.loss, ratio=naming.ratio, count=naming.count, scientific=naming.scientific, breakable=breakable
    )
    return environment
