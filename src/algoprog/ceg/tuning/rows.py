"""What the rows of the gains table say about tuning: trials, their cost, flags, and the gain without tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from algoprog.ceg.curves import Curve
from algoprog.ceg.pairs.same_function import execution_only
from algoprog.ceg.tuning.choice import Tuning, tunings
from algoprog.ceg.tuning.transfer import Transfer
from algoprog.ceg.tuning.trials import Attempt, Trials, flops_of, same_start
from algoprog.runs.record import BASELINE, DIVERGED

if TYPE_CHECKING:
    from algoprog.ceg.gain import Gain

UNTUNED, UNTUNED_BASELINE = "untuned", "untuned-baseline"
LR_EDGE, LR_GRID, SAME_SEED = "lr-edge", "lr-grid", "same-seed"


def with_tuning(
    rows: Sequence[Gain], curves: Sequence[Curve], compared: Sequence[Curve], baseline: str = BASELINE
) -> list[Gain]:
    """The rows with `trials`, `search_flops`, `untuned_ceg` and the flags of their tuning.

    Args:
        rows: of `compute_gains`.
        curves: all that were read, trials included.
        compared: those of them that the rows were computed from, as `tuned` returned them.
        baseline: what the gains are measured against.
    """
    found = {(tuning.model, tuning.cohort): tuning for tuning in tunings(curves, baseline)}
    same = _same_function(curves, baseline)
    told = [_row(row, _tuning_of(row, found), row.variant in same) for row in rows]
    transfers: dict[tuple[str, str, str], float | None] = {}
    for row in told:
        if row.trials is not None and (tuning := _tuning_of(row, found)) is not None:
            key = row.model, row.variant, row.cost
            if key not in transfers:
                transfers[key] = Transfer(tuning, row.variant, baseline).ceg(compared, row.cost)
    return [replace(row, untuned_ceg=transfers.get((row.model, row.variant, row.cost))) for row in told]


def flags(tuning: Tuning | None, variant: str, baseline: str) -> tuple[str, ...]:
    """Words for what a comparison lacks in tuning.

    `untuned`: nothing shows that another rate was tried; `untuned-baseline`: only for the variant was one; `lr-edge`:
    the best of either lies at the edge of what was tried; `lr-grid`: the two searches differ in more than how far they
    went on beyond an edge; `same-seed`: a seed chose by its own loss.
    """
    arm, base = (tuning.searches.get(name) if tuning else None for name in (variant, baseline))
    words = {UNTUNED: not _tried(arm) and variant != baseline, UNTUNED_BASELINE: _tried(arm) and not _tried(base)}
    if tuning is not None:
        known = [search for search in (arm, base) if search is not None]
        words |= {LR_EDGE: any(search.edge for search in known)}
        words |= {LR_GRID: len(known) > 1 and not _same_grid(known[0], known[1], tuning.separate)}
        words |= {SAME_SEED: bool(tuning.same_seed & {variant, baseline})}
        words |= {DIVERGED: bool(tuning.passed_over & {variant, baseline})}
    return tuple(word for word, applies in words.items() if applies)


def _row(row: Gain, tuning: Tuning | None, same_function: bool) -> Gain:
    told = set(flags(tuning, row.variant, row.baseline)) - ({UNTUNED} if same_function else set())
    row = replace(row, flags=tuple(sorted({*row.flags, *told})))
    search = tuning.searches.get(row.variant) if tuning else None
    if tuning is None or search is None:
        return row
    own = [attempt for attempt in search.attempts if tuning.separate or not _compared(tuning, row.variant, attempt)]
    return replace(row, trials=len(search.points), search_flops=flops_of(own))


def _tried(search: Trials | None) -> bool:
    return search is not None and len(search.points) > 1


def _same_grid(one: Trials, other: Trials, separate: bool) -> bool:
    """A search goes on by itself beyond an edge; a grid that was typed does not."""
    return one.points == other.points or (separate and same_start(one, other))


def _same_function(curves: Sequence[Curve], baseline: str) -> set[str]:
    """Variants that are the baseline executed otherwise: there is nothing to tune for them."""
    axes = {curve.variant: curve.axes for curve in curves if curve.axes}
    return {name for name, own in axes.items() if execution_only(name, own, baseline, axes.get(baseline, {}))}


def _tuning_of(row: Gain, found: Mapping[tuple[str, str], Tuning]) -> Tuning | None:
    """The tuning of a row's model, which is named with its cohort where it has several."""
    labels = {name: t for (m, cohort), t in found.items() for name in (m, f"{m}@{cohort[:8]}")}
    return labels.get(row.model)


def _compared(tuning: Tuning, variant: str, attempt: Attempt) -> bool:
    """Whether a run that was tried is one of those that are compared."""
    return tuning.chosen.get((variant, attempt.seed)) == attempt.point
