"""The literature as a terminal table: 80 columns, plain ASCII, no colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from algoprog.literature.compare import REASONS, Comparison, closest
from algoprog.literature.fits import product_and_joint, sensitivity
from algoprog.literature.rows import METRIC_TYPES, TABLES, PublishedGain, literature_rows, load
from algoprog.report.words.naming import plain, ratio, shorten

if TYPE_CHECKING:
    from algoprog.ceg.gains import Gain

MIN_WIDTH = 80

KINDS = {"dependent": "dep", "independent": "ind", "unstated": "-"}


def literature_table(width: int = MIN_WIDTH) -> str:
    """All tables of the literature, what each gain is a ratio of, every caveat, and the fits' extrapolation.

    Raises:
        ValueError: the width is below 80 columns.
    """
    _check(width)
    rows = literature_rows()
    lines = ["Compute-equivalent gains in the literature"]
    for table in TABLES:
        data = load(table)
        cited = f" (arXiv {data['arxiv']})" if data["arxiv"] else ""
        title = f"{data['citation']}{cited}, {data['location']}"
        head = _line("advance", "option", "cls", "CEG", "metric", "note")
        lines += ["", *textwrap.wrap(title, width), "=" * width, head, "-" * width]
        lines += [_row(row, note) for note, row in enumerate(rows, start=1) if row.table == table]
    lines += ["-" * width, "cls: compute-dependent or -independent by the authors (- unstated)"]
    return "\n".join([*_wrapped(lines[-1:], lines[:-1], width), *_notes(rows, width), *_fits(width)]) + "\n"


def comparison_table(comparisons: Sequence[Comparison], width: int = MIN_WIDTH) -> str:
    """Measured gains beside the reported ones of the same option, the closest of each row, variant and model.

    Raises:
        ValueError: the width is below 80 columns.
    """
    _check(width)
    found = [comparison for comparison in closest(comparisons) if comparison.gain is not None]
    if not found:
        return "No measured gain to hold against the literature.\n"
    variants = shorten((plain(c.gain.variant) for c in found if c.gain), 14)
    models = shorten((plain(c.gain.model) for c in found if c.gain), 9)
    head = _pair("variant", "model", "cost", "measured", "interval", "reported", "same?")
    lines = ["Measured gains and the literature", "=" * width, head, "-" * width]
    for comparison in found:
        gain, row = comparison.gain, comparison.row
        assert gain is not None  # kept above
        reported = "-" if row is None else _range(row)
        verdict = _verdict(comparison)
        names = variants[plain(gain.variant)], models[plain(gain.model)]
        lines.append(_pair(*names, gain.cost, _measured(gain), _interval(gain), reported, verdict))
        if row is not None:
            lines.append(f"  {row.advance}: {row.metric}, {row.source}")
        lines += [f"  ! {flag}" for flag in comparison.flags]
    shown = {flag for comparison in found for flag in comparison.flags}
    lines.append("-" * width)
    notes = ["same?: the interval meets the reported range, at whatever scale that was measured"]
    notes += [f"{flag}: {text}" for flag, text in REASONS.items() if flag in shown]
    return "\n".join(_wrapped(notes, lines, width)) + "\n"


def _row(row: PublishedGain, note: int) -> str:
    kind = KINDS[row.dependence]
    return _line(row.advance, row.option or "-", kind, _range(row), row.metric, f"[{note}]")


def _notes(rows: Sequence[PublishedGain], width: int) -> list[str]:
    lines, seen = [""], dict[str, int]()
    for note, row in enumerate(rows, start=1):
        source = f"{row.source}, arXiv {row.arxiv}" if row.arxiv else row.source
        texts = [source, row.location, *_raw(row), *_mixed(row, rows), *_sentences(row.caveat)]
        fresh = [text for text in texts if text not in seen]
        earlier = sorted({seen[text] for text in texts if text in seen})
        seen |= dict.fromkeys(fresh, note)
        fresh += [f"{gain:.3g}: {label}" for label, gain in row.also.items()]
        fresh += [f"See [{'], ['.join(map(str, earlier))}]"] if earlier else []
        text = ". ".join(fresh) + "."
        lines += textwrap.wrap(text, width, initial_indent=f"[{note}] ", subsequent_indent="     ")
    used = {row.metric for row in rows}
    metrics = [f"{name}: {text}" for name, text in METRIC_TYPES.items() if name in used]
    return _wrapped([*metrics, "Gains of different metric types are never averaged."], [*lines, ""], width)


def _raw(row: PublishedGain) -> list[str]:
    """What the raw inputs give, where they are known."""
    values = dict.fromkeys(value.recomputed for value in (row.low, row.high))
    known = [f"{value:.3g}" for value in values if value is not None]
    return [f"Raw inputs give {' and '.join(known)}"] if known else []


def _mixed(row: PublishedGain, rows: Sequence[PublishedGain]) -> list[str]:
    """What to say of the published range where it spans metric types."""
    metrics = {other.metric for other in rows if (other.table, other.advance) == (row.table, row.advance)}
    if len(metrics) < 2 or row.published_low is None:
        return []
    return [f"The published range {row.published_low:g}-{row.published_high:g} mixes metric types"]


def _sentences(text: str) -> list[str]:
    return text.removesuffix(".").split(". ")


def _fits(width: int) -> list[str]:
    change, (product, joint) = sensitivity(), product_and_joint()
    texts = [
        f"Gundlach's fits L = 1.9 + A C^alpha put the modern transformer {change.gain:,.0f}x above the LSTM at"
        f" {change.flops:.3g} FLOPs. With {change.shift:.3f} more in the LSTM's exponent that is"
        f" {change.shifted_gain:,.0f}x, and {change.shifted_gain_same_a:,.0f}x if its prefactor is held instead of its"
        f" loss at {change.hinge_flops:.2g} FLOPs. {change.caveat}",
        f"Single gains do not multiply: their product is {product:.2f}, together they gave {joint:.2f}.",
    ]
    return _wrapped(texts, [""], width)


def _range(row: PublishedGain) -> str:
    low, high = f"{row.low.quoted:g}", f"{row.high.quoted:g}"
    return low if low == high else f"{low}-{high}"


def _measured(gain: Gain) -> str:
    mark = {"bound": "<" if gain.ci_low is None else ">", "auxiliary": "a "}.get(gain.kind, "")
    return mark + ratio(gain.ceg)


def _interval(gain: Gain) -> str:
    if gain.ci_low is None or gain.ci_high is None:
        return ""
    return f"[{ratio(gain.ci_low)}, {ratio(gain.ci_high)}]"


def _verdict(comparison: Comparison) -> str:
    return {None: "-", True: "yes", False: "no"}[comparison.agrees]


def _line(advance: str, option: str, kind: str, gain: str, metric: str, note: str) -> str:
    return f"{advance:<31} {option:<12} {kind:<3} {gain:>9} {metric:<15} {note:>4}".rstrip()


def _pair(variant: str, model: str, cost: str, gain: str, interval: str, reported: str, same: str) -> str:
    return f"{variant:<14} {model:<9} {cost:<8} {gain:>9} {interval:>18} {reported:>9} {same:>6}".rstrip()


def _wrapped(texts: Sequence[str], before: Sequence[str], width: int) -> list[str]:
    return [*before, *(line for text in texts for line in textwrap.wrap(text, width, subsequent_indent="  "))]


def _check(width: int) -> None:
    if width < MIN_WIDTH:
        raise ValueError(f"a table of {width} columns cannot hold the literature: give it at least {MIN_WIDTH}")
