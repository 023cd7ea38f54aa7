"""The catalogue as a terminal table: 80 columns, plain ASCII."""

from __future__ import annotations

import textwrap

from algoprog.axes import AXES
from algoprog.catalogue.costs import Costs, baseline_costs, costs
from algoprog.catalogue.options import Option
from algoprog.literature.rows import PublishedGain

WIDTH = 80

COLUMNS = {
    "params": "n_params",
    "active": "n_active_params",
    "FLOPs": "flops",
    "cache": "state_bytes",
    "optim.": "optimizer_bytes",
}
"""Heads of the costs that are shown as multiples of the baseline's."""

NOTES = (
    "Multiples of the default baseline with layer norm, a vocabulary of 50,257: parameters, those that a token uses,"
    " training FLOPs of a token, what generating keeps of a sequence, what the optimizer keeps."
)


def axis_table(found: list[Option], model: str) -> str:
    """Costs, source and published gains of the options of one axis.

    Raises:
        ValueError: there is no such model.
    """
    baseline_costs(model)
    axis = found[0].axis
    priced = AXES[axis].owner != "data"
    head = f"{axis:<20}" + "".join(f"{name:>8}" for name in COLUMNS) if priced else axis
    lines = [head, "=" * WIDTH]
    for option in found:
        lines += [_costs(option, model) if priced else option.name, *_words(option)]
    lines.append("-" * WIDTH)
    return "\n".join([*lines, *(_wrapped(f"{NOTES} Model: {model}.", "") if priced else [])]) + "\n"


def every_axis(found: list[Option]) -> str:
    """The names of all options, axis by axis."""
    lines = ["axis          options", "=" * WIDTH]
    for axis in dict.fromkeys(option.axis for option in found):
        names = ", ".join(option.name for option in found if option.axis == axis)
        lines += textwrap.wrap(names, WIDTH, initial_indent=f"{axis:<14}", subsequent_indent=" " * 14)
    lines += ["-" * WIDTH, *_wrapped("algoprog options AXIS: what each is, its paper, what it costs and gains.", "")]
    return "\n".join(lines) + "\n"


def multiples(option: Option, model: str) -> dict[str, float] | str:
    """What an option costs over the baseline, by `COLUMNS`; the reason where it cannot be had at this size."""
    try:
        over = costs(option, model).over(baseline_costs(model))
    except ValueError as error:
        return str(error)
    return {name: over[field] for name, field in COLUMNS.items()}


def optimizer_tokens(option: Option, model: str) -> float:
    """FLOPs of the optimizer's matrix products in a step, in tokens of the model's training."""
    found: Costs = costs(option, model)
    return found.optimizer_flops / found.flops


def said(row: PublishedGain) -> str:
    """A published gain in words: how large, over what, what it is a ratio of, and who says so."""
    low, high = f"{row.low.quoted:g}", f"{row.high.quoted:g}"
    over = f" over {row.reference}" if row.reference else ""
    where = f", arXiv {row.arxiv}" if row.arxiv else ""
    return f"{row.option} {low if low == high else f'{low}-{high}'}{over} ({row.metric}; {row.source}{where})"


def _costs(option: Option, model: str) -> str:
    found = multiples(option, model)
    if isinstance(found, str):
        return "\n".join(_wrapped(f"{option.name}: {found}", ""))
    return f"{option.name:<20}" + "".join(f"{multiple(value):>8}" for value in found.values())


def multiple(value: float) -> str:
    """Two digits behind the point; small ones with two significant digits."""
    return f"{value:.2f}" if value == 0 or value >= 0.095 else f"{value:.2g}"


def _words(option: Option) -> list[str]:
    source = f" {option.source}" if option.source else ""
    lines = _wrapped(f"{option.summary}{source}", "  ")
    lines += _wrapped(f"knobs: {option.settings}", "  ") if option.knobs else []
    for row in option.reported:
        lines += _wrapped(f"reported: {said(row)}", "  ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
