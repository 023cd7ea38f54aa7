"""The catalogue as a page: docs/catalogue.md, written by `make catalogue`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from algoprog.axes import AXES
from algoprog.catalogue.options import PLACES, Option, catalogue
from algoprog.catalogue.table import COLUMNS, multiple, multiples, optimizer_tokens, said

MODELS = ("nano", "compact", "full")

Measured = Mapping[str, Sequence[str]]
"""Gains of each variant as they are shown, model by model."""

INTRODUCTION = f"""# The catalogue

Every option of every axis, written by `make catalogue` from the options themselves; `algoprog options AXIS` shows
one axis in the terminal, [axes/](axes/) has a page an axis on when to choose which. Costs are multiples of the
default baseline with layer norm (dense attention written out, learned positions, GELU, AdamW) at
{", ".join(MODELS)} and 50,257 tokens, by the closed forms that tests hold against counted FLOPs and built parameters:
**params** are held, **active** used by a token, **FLOPs** those of training on a token, **cache** what generating
keeps of a sequence, **optim.** what the optimizer keeps between steps. One number stands for three that agree to
two digits. *Reported* gains are those of [the literature](literature.md), *measured* ones, in training FLOPs over
`baseline=gpt2`, stand in [measurements](measurements/options.md) with what moves them.
"""


def page(measured: Measured) -> str:
    """All axes, a section each."""
    found = catalogue()
    sections = [_section(axis, [option for option in found if option.axis == axis], measured) for axis in PLACES]
    return "\n".join([INTRODUCTION, *sections])


def read_measured(*files: Path) -> dict[str, list[str]]:
    """Gains in FLOPs of tables that `algoprog ceg` wrote, by variant."""
    found: dict[str, list[str]] = {}
    for row in chain.from_iterable(map(_rows, files)):
        if row["estimator"] == "iso_loss" and row["cost"] == "flops" and row["ci_low"] and row["ci_high"]:
            low, high = float(row["ci_low"]), float(row["ci_high"])
            gain = f"{row['model']}: {float(row['ceg']):.2f} [{low:.2f}, {high:.2f}]"
            if row["variant"] != row["baseline"]:
                found.setdefault(row["variant"], []).append(gain)
    return found


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def _section(axis: str, found: Sequence[Option], measured: Measured) -> str:
    priced = AXES[axis].owner != "data"
    heads = ["option", "what it is", *(COLUMNS if priced else ()), "gains"]
    lines = [f"## {axis}\n", row(heads), row(["---"] * len(heads))]
    for option in found:
        shown = costs_of(option) if priced else []
        lines.append(row([f"`{option.name}`", _what(option), *shown, "<br>".join(gains_of(option, measured))]))
    return "\n".join([*lines, ""])


def costs_of(option: Option) -> list[str]:
    """Its costs as multiples of the baseline's, a cell a column; the reason where it cannot be had at a size."""
    rows = [multiples(option, model) for model in MODELS]
    refused = next((row for row in rows if isinstance(row, str)), None)
    if refused is not None:
        return [refused, *[""] * (len(COLUMNS) - 1)]
    shown = []
    for name in COLUMNS:
        values = [multiple(row[name]) for row in rows if not isinstance(row, str)]
        shown.append(values[0] if len(set(values)) == 1 else ", ".join(values))
    return shown


def _what(option: Option) -> str:
    charged = [optimizer_tokens(option, model) for model in MODELS] if AXES[option.axis].owner == "training" else []
    extra = " Its step costs what {} tokens of training cost.".format(", ".join(f"{value:,.0f}" for value in charged))
    return (
        f"{option.summary} {option.source}".strip()
        + (extra if any(charged) else "")
        + (f" Knobs: {option.settings}." if option.knobs else "")
    )


def gains_of(option: Option, measured: Measured) -> list[str]:
    """What was published and measured of an option's gain."""
    told = [f"reported: {said(row)}" for row in option.reported if row.option == option.name]
    return [*told, *(f"measured, {gain}" for gain in measured.get(option.variant, ()))]


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
