"""The gains as a terminal table: 80 columns, plain ASCII, no colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS, beside
from algoprog.report.summary import SHOWN_ESTIMATORS, Arm, Group, by_display_name, summarise
from algoprog.report.words.charges import charge_sentences, charges_in_brief
from algoprog.report.words.ends import ends_in_brief, ends_notes
from algoprog.report.words.naming import count, loss, plain, ratio, shorten
from algoprog.report.words.noise import floor_sentences
from algoprog.report.words.notes import WIDTH, Notes, full_names, wrapped
from algoprog.report.words.order import MANY, SORTS, in_order
from algoprog.report.words.seeds import seed_sentences
from algoprog.report.words.tuning import tuning_notes
from algoprog.report.words.words import gain_text, interval_text
from algoprog.runs.record import Run

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.curves import Curve
    from algoprog.ceg.gains import Gain
    from algoprog.ceg.noise_floor import NoiseFloor

_VARIANT, _LONGER = 16, 25
_NOTES = 5  # a space, and "note"
NOTHING = "No runs and no gains: nothing to show.\n"


def gains_table(
    gains: Sequence[Gain],
    runs: Sequence[Run] = (),
    *,
    cost: str = "flops",
    confidence: float = 0.9,
    floors: Mapping[str, NoiseFloor] | None = None,
    correlations: Mapping[str, float] | None = None,
    curves: Sequence[Curve] = (),
    sort: str | None = None,
    further: Sequence[str] = (),
) -> str:
    """The table of gains at one cost axis, with a compact column for the seconds (or, at seconds, the FLOPs).

    Args:
        gains: every gain of the sweep; other estimators and costs than the shown ones are ignored.
        runs: the runs behind them, for sizes and losses.
        cost: cost axis of the main columns.
        confidence: level that the gains' intervals were computed for.
        floors: what `noise_floors` returned for this cost axis, to be stated in words.
        correlations: what `seed_correlations` returned, to be stated in words.
        curves: those that the gains were computed from, for the losses of what has no records.
        sort: order of the rows, one of `SORTS`; None takes names, of many variants gains.
        further: what else is to be said below.

    Raises:
        ValueError: there is no such order.
    """
    tuned = any(gain.trials is not None for gain in gains)  # then the paper's estimator has no column, and no notes
    shown = SHOWN_ESTIMATORS[:1] if tuned else SHOWN_ESTIMATORS
    groups = summarise([gain for gain in gains if gain.estimator in shown], runs, curves)
    if not any(group.arms for group in groups):
        return NOTHING
    many = max(len(group.arms) for group in groups) > MANY
    notes = Notes(groups, cost)
    lines = [f"Compute-equivalent gain (CEG), cost axis: {COSTS[cost].title}"]
    columns = _columns(groups, cost, confidence, many=many)
    width = _variant_width(columns, most=_LONGER if many else _VARIANT)
    names = shorten((plain(arm.variant) for group in groups for arm in group.arms), width - 1)
    for group in groups:
        lines += ["", *_head(group, columns, notes, width)]
        lines += [_row(arm, group, columns, names, notes, width) for arm in in_order(group, sort, cost)]
    found = floor_sentences(groups, by_display_name(floors or {}, runs), cost=cost, confidence=confidence)
    below = [
        *_legend(groups, cost),
        *tuning_notes(groups, runs),
        *notes.legend(brief=many),
        *(charges_in_brief(groups) if many else charge_sentences(groups)),
        *(ends_in_brief(groups, cost) if many else ends_notes(groups, cost)),
        *seed_sentences(groups, by_display_name(correlations or {}, runs), cost=cost),
        *(f"Noise floor of {label}: {text}" for label, text in found.items()),
        *full_names(names),
        *further,
        *(
            [f"Rows: --sort {'|'.join(SORTS)} of `algoprog report` and `algoprog ceg`; details in the report."]
            if many
            else ()
        ),
    ]
    return "\n".join([*lines, "-" * WIDTH, *wrapped(below)]) + "\n"


def group_title(group: Group) -> str:
    """Model, size and what its gains are measured against."""
    size = f", {count(group.n_params)} parameters" if group.n_params else ""
    return (
        f"{plain(group.label)}{size}, gains over {plain(group.baseline)} at {loss(group.target)} {group.metric.short}"
    )


def gain_cell(gain: Gain | None) -> str:
    """The gain padded so that the digits of auxiliary and other values stand below each other."""
    text = gain_text(gain) if gain and gain.kind != "bound" else "-"
    return text if text.endswith(" a") else text + "  "


@dataclass(frozen=True)
class _Column:
    """A column after the variant's name: title, width, and an arm's cell."""

    title: str
    width: int
    cell: Callable[[Arm], str]


def _columns(groups: Sequence[Group], cost: str, confidence: float, *, many: bool) -> list[_Column]:
    """What the table has something to say about; a tuned sweep's gains without tuning stand in place of the paper's.

    Of many variants the names take the room of the paper's estimator.
    """
    own, paper = SHOWN_ESTIMATORS
    arms = [arm for group in groups for arm in group.arms]
    tuned = any(gain.trials is not None for arm in arms for gain in arm.gains)
    bound = any(arm.bound(own, cost) for arm in arms)
    tight = int(tuned and bound)
    columns = [
        _Column("loss", 9 - tight, lambda arm: "diverged" if arm.diverged else loss(arm.final_loss)),
        _Column("CEG  ", 9 - tight, lambda arm: gain_cell(arm.gain(own, cost))),
        _Column(f"{confidence:.0%} interval", 16 - tight, lambda arm: interval_text(arm.gain(own, cost))),
    ]
    if bound or not tuned:
        columns.append(_Column("bound", 8 - tight, lambda arm: _bound_cell(arm, cost)))
    if tuned:
        columns.append(_Column("untuned", 8, lambda arm: _untuned_cell(arm.gain(own, cost))))
        columns.append(_Column("tried", 6, lambda arm: _trials_cell(arm.gain(own, cost))))
    elif not many:
        columns.append(_Column("paper  ", 9, lambda arm: gain_cell(arm.gain(paper, cost))))
    other = beside(cost)
    title = f"CEG({COSTS[other].symbol})"
    return [*columns, _Column(title, 8, lambda arm: gain_cell(arm.gain(own, other)))]


def _head(group: Group, columns: Sequence[_Column], notes: Notes, width: int) -> list[str]:
    titles = _line("variant", columns, [column.title for column in columns], "note", width)
    return [*notes.title(group_title(group), group), "=" * WIDTH, titles, "-" * WIDTH]


def _row(arm: Arm, group: Group, columns: Sequence[_Column], names: dict[str, str], notes: Notes, width: int) -> str:
    cells = [column.cell(arm) for column in columns]
    return _line(names[plain(arm.variant)], columns, cells, notes.of_arm(group, arm.variant), width)


def _line(variant: str, columns: Sequence[_Column], cells: Sequence[str], notes: str, width: int) -> str:
    texts = "".join(f"{cell:>{column.width}}" for column, cell in zip(columns, cells, strict=True))
    return f"{variant:<{width}}{texts} {notes}"[:WIDTH].rstrip()


def _variant_width(columns: Sequence[_Column], most: int) -> int:
    """What names may take where notes, a letter each, keep their room."""
    return min(most, WIDTH - sum(column.width for column in columns) - _NOTES)


def _bound_cell(arm: Arm, cost: str) -> str:
    bound = arm.bound(SHOWN_ESTIMATORS[0], cost)
    return gain_text(bound) if bound else ""


def _untuned_cell(gain: Gain | None) -> str:
    return ratio(gain.untuned_ceg) if gain and gain.untuned_ceg is not None else "-"


def _trials_cell(gain: Gain | None) -> str:
    return str(gain.trials) if gain and gain.trials is not None else "-"


def _legend(groups: Sequence[Group], cost: str) -> list[str]:
    arms = [arm for group in groups for arm in group.arms]
    kinds = {gain.kind for arm in arms for gain in arm.gains}
    legend = [
        "CEG 2 = the same loss for half the cost. CEG, interval: iso_loss estimator.",
        *dict.fromkeys(f"loss: last validation loss in {group.metric.unit}, mean over seeds" for group in groups),
    ]
    if "auxiliary" in kinds:
        legend.append("a  never reached the target: measured at the variant's own lowest loss")
    if "bound" in kinds:
        legend.append("bound: what the target that was not reached still says about the gain")
    execution = sorted({plain(arm.variant) for arm in arms if arm.execution_only})
    if execution and not COSTS[cost].measured:
        other = COSTS[beside(cost)]
        names = ", ".join(execution)
        what = f"CEG({other.symbol}), the gain in {other.title},"
        legend.append(f"{what} is what {names} is about: same function, other execution")
    legend += dict.fromkeys(f"dollars: {curve.prices}" for arm in arms for curve in arm.curves if curve.prices)
    return legend
