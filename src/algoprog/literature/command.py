"""What `algoprog literature` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.literature.compare import MEASURED_METRICS, compare
from algoprog.literature.table import comparison_table, literature_table
from algoprog.literature.write import literature_csv, literature_json
from algoprog.runs.record import BASELINE

if TYPE_CHECKING:  # scipy comes with it, which takes seconds
    from algoprog.ceg.gains import Gain

FORMATS = ("table", "json", "csv")


def run(
    sweep: Path | None,
    format: str,
    *,
    baseline: str = BASELINE,
    rename: Mapping[str, str] | None = None,
    constant: bool = False,
) -> str:
    """The literature, and beside it the gains of a sweep if one is named.

    Args:
        sweep: a sweep's folder, a folder of records or a CSV of curves, as for `algoprog ceg`; None for none.
        format: one of `FORMATS`; the keys of json and csv are `algoprog.literature.write.KEYS`.
        baseline: variant that the gains are measured against.
        rename: our name for columns of a table that are called otherwise there.
        constant: whether the learning rate was constant where a source does not tell it.

    Raises:
        ValueError: the format is unknown, or the sweep cannot be read or compared; says what to change.
    """
    if format not in FORMATS:
        raise ValueError(f"no format is called {format!r}: choose among {', '.join(FORMATS)}")
    measured = [] if sweep is None else _gains(sweep, baseline, rename, constant=constant)
    comparisons = compare(measured, baseline=baseline)
    if format == "json":
        return literature_json(comparisons)
    if format == "csv":
        return literature_csv(comparisons)
    return literature_table() + ("" if sweep is None else "\n" + comparison_table(comparisons))


def _gains(sweep: Path, baseline: str, rename: Mapping[str, str] | None, *, constant: bool) -> list[Gain]:
    """Gains of the default estimator at every cost axis that all curves have."""
    from algoprog.ceg.gains import compute_gains
    from algoprog.ceg.metric import curves_in, metric_for
    from algoprog.ceg.pairs.ends import all_ends
    from algoprog.ceg.tables.sources import read_sources

    curves = read_sources([sweep], rename)
    curves = all_ends(curves) if constant else curves
    curves = curves_in(curves, metric_for(curves))
    costs = [cost for cost in MEASURED_METRICS if all(cost in curve.costs for curve in curves)]
    if not costs:
        raise ValueError(f"{sweep} has no cost axis that all of its curves share: add one, such as step, to each")
    return compute_gains(curves, estimators=("iso_loss",), costs=costs, baseline=baseline)
