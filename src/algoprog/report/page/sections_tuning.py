"""The section on tuning: what was tried for every variant of every model, what was chosen, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from algoprog.ceg.gain import Gain
from algoprog.ceg.tuning.choice import Tuning
from algoprog.ceg.tuning.rows import LR_EDGE, LR_GRID, SAME_SEED, flags
from algoprog.ceg.tuning.search import Point
from algoprog.ceg.tuning.trials import Trials
from algoprog.report.evidence import Results
from algoprog.report.figures.charts_tuning import tuning_chart
from algoprog.report.figures.style import Style
from algoprog.report.page.section import Section, Table
from algoprog.report.summary import Group
from algoprog.report.words.naming import loss, order_variants, ratio, scientific
from algoprog.report.words.tuning import search_cost
from algoprog.report.words.words import gain_text, interval_text

_MARKS = {LR_EDGE: "at the edge", LR_GRID: "another grid", SAME_SEED: "chosen by its own seed"}
_HEAD = ("variant", "model", "compared at", "CEG", "at the baseline's rate", "FLOPs of the search", "seeds", "tried")

_SEPARATE = (
    "Every variant was tried at several learning rates, with seeds that are kept for that ({seeds}), and compared with "
    "others at the rate where the quadratic in ln rate through the trials around the best is lowest. Filled: trials; "
    "line: the quadratic; hollow: where the compared runs stand."
)
_SAME_RUNS = (
    "Variants were run at several learning rates with the seeds that are compared. Each seed stands at the rate that "
    "was best for the other seeds, so that none is compared where its own luck was best. Filled: mean over the seeds; "
    "hollow: where compared runs stand."
)
_UNTUNED = (
    "CEG is the gain of the best of each. 'At the baseline's rate' is the gain if the variant had kept the learning "
    "rate of the baseline: read off the ends of trials, so it has the noise of a single seed where the search had one. "
    "A search that ended at the edge of what it tried may have missed a better rate."
)


def tuning_section(evidence: Results, groups: Sequence[Group], styles: Mapping[str, Style]) -> Section | None:
    """Loss over learning rate for every variant, and the gains with and without tuning; None where none was tuned."""
    if not evidence.tuning:
        return None
    baseline = groups[0].baseline
    rows = [row for tuning in evidence.tuning for row in _rows(tuning, evidence.gains, baseline)]
    table = Table("Rates tried with their final losses, and the gains.", _HEAD, tuple(rows))
    chart = tuning_chart(evidence.tuning, styles, groups[0].metric.unit)
    cost = search_cost(groups)
    prose = (*_prose(evidence.tuning), *([f"What was run for the search alone: {cost}."] if cost else []))
    return Section("Learning rate", prose, None if chart.empty else chart, table=table)


def _prose(found: Sequence[Tuning]) -> tuple[str, ...]:
    separate = [tuning for tuning in found if tuning.separate]
    seeds = sorted({seed for tuning in separate for search in tuning.searches.values() for seed in search.seeds})
    texts = [_SEPARATE.format(seeds=", ".join(map(str, seeds)))] if separate else []
    return (*texts, *([_SAME_RUNS] if len(separate) < len(found) else []), _UNTUNED)


def _rows(tuning: Tuning, gains: Sequence[Gain], baseline: str) -> list[tuple[str, ...]]:
    names = order_variants({*tuning.searches, *(variant for variant, _ in tuning.chosen)})
    return [_row(tuning, name, _find(gains, tuning.model, name), baseline) for name in names]


def _row(tuning: Tuning, variant: str, gain: Gain | None, baseline: str) -> tuple[str, ...]:
    search = tuning.searches.get(variant)
    told = flags(tuning, variant, baseline)
    marks = [words for flag, words in _MARKS.items() if flag in told]
    stands = ", ".join(_point(point, tuning) for point in tuning.stands_at(variant)) or "not compared"
    return (
        variant,
        tuning.model,
        "; ".join([stands, *marks]),
        f"{gain_text(gain)} {interval_text(gain)}".strip(),
        ratio(gain.untuned_ceg) if gain else "-",
        scientific(gain.search_flops) if gain else "-",
        ", ".join(map(str, search.seeds)) if search else "-",
        _tried(search, tuning) if search else "nothing",
    )


def _tried(search: Trials, tuning: Tuning) -> str:
    cells = search.cells.items()
    return "; ".join(f"{_point(p, tuning)}: {'diverged' if value is None else loss(value)}" for p, value in cells)


def _point(point: Point, tuning: Tuning) -> str:
    """The learning rate, and the weight decay where that was tuned too."""
    decays = {other[1] for other in tuning.points if len(other) > 1}
    return f"{point[0]:g}" + (f" with decay {point[1]:g}" if len(decays) > 1 and len(point) > 1 else "")


def _find(gains: Sequence[Gain], model: str, variant: str) -> Gain | None:
    found = [
        g for g in gains if (g.model, g.variant, g.estimator) == (model, variant, "iso_loss") and g.kind != "bound"
    ]
    return found[0] if found else None
