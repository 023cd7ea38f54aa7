"""From the records of a finished sweep to its gains, table and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from algoprog.ceg.curves import Curve, common_costs, curves_from_runs
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.ceg.metric import METRICS, curves_in, metric_of, runs_in
from algoprog.ceg.noise_floor import NoiseFloor, noise_floors
from algoprog.ceg.screening.decisions import read_decisions
from algoprog.ceg.seeds.correlation import seed_correlations
from algoprog.ceg.write import write_gains
from algoprog.literature.compare import compare
from algoprog.report.inputs import drawn_from, fingerprint
from algoprog.report.page.sections_screening import screening_sections
from algoprog.report.tables.table import gains_table
from algoprog.report.words.screening import dropped_lines, left_out_lines
from algoprog.run.provenance import environment
from algoprog.runs.calls import read_calls
from algoprog.runs.record import BASELINE, REPORT_FILE, Run
from algoprog.runs.views import compared_runs
from algoprog.sweep.finish.summary_run import log_summary

if TYPE_CHECKING:
    from algoprog.report.page.section import Section


# threadpoolctl has no types.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def analyse(
    folder: Path, *, wandb: bool | None, redraw: bool, metric: str | None = None, sort: str | None = None
) -> None:
    """Compute the gains of a sweep's finished runs; print the table, write the files and say where they are.

    Its matrices are tiny: threads of the BLAS only wait for each other, for minutes where the cores are busy.

    Args:
        folder: the sweep's folder.
        redraw: whether the report is drawn again where nothing that it shows has changed.
        metric: that losses are compared in; None for bits per byte where the sweep compares tokenizers or data, else
            nats.
        sort: order of the table's rows; None takes names, of many variants gains.
        wandb: True logs the summary run, False does where the runs were logged to W&B, None leaves W&B alone.

    Raises:
        ValueError: the folder holds no finished run or no baseline, or a record is damaged.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the folder of a sweep, for example multirun/2026-01-31/12-00-00")
    runs = compared_runs(folder)
    if not runs:
        raise ValueError(f"{folder} holds no finished run (no record.json): wait for the sweep, or give another folder")
    chosen = METRICS[metric] if metric else metric_of(runs)
    curves, runs = curves_in(curves_from_runs(runs), chosen), runs_in(runs, chosen)
    gains = compute_gains(curves)
    write_gains(folder, gains)
    page = folder / REPORT_FILE
    commands = "\n".join(read_calls(folder).commands) or None
    settings = {**environment(), "metric": chosen.name} if metric else environment()
    told = f"{read_decisions(folder)}" if read_decisions(folder) else ""
    inputs = fingerprint(runs, f"{commands}{told}" if told else commands, settings)
    floors = noise_floors(curves)
    if redraw or inputs is None or drawn_from(page) != inputs:
        _draw(folder, gains, runs, commands, curves, inputs, floors)
    further = [*dropped_lines(read_decisions(folder)), *left_out_lines(read_calls(folder))]
    correlations = seed_correlations(curves)
    table = gains_table(gains, runs, floors=floors, correlations=correlations, sort=sort, further=further)
    print(f"\n{table}\nGains in {folder / 'gains.csv'} and gains.json, report in {page}", flush=True)
    if wandb is not None:
        log_summary(folder, gains, runs, asked=wandb)


def analyse_curves(
    curves: list[Curve], folder: Path, *, baseline: str, cost: str, command: str, sort: str | None = None
) -> None:
    """Write gains and report of curves from elsewhere, on the cost axes that all of them have, into a folder.

    Args:
        curves: of which no records are known.
        folder: where gains and report are written.
        baseline: what gains are measured against.
        cost: cost axis that the page opens with.
        command: what gives the page again.
        sort: order of the table's rows, as for a sweep.

    Raises:
        ValueError: as `compute_gains`, or the curves do not share the cost axis.
    """
    from algoprog.report.write import write_report  # here: drawing has much to import

    for curve in curves:
        curve.cost(cost)
    gains = compute_gains(curves, costs=common_costs(curves), baseline=baseline)
    write_gains(folder, gains)
    floors, extra = noise_floors(curves, cost=cost, baseline=baseline), [_literature(gains, baseline)]
    page = write_report(folder, gains, [], cost=cost, command=command, extra=extra, curves=curves, floors=floors)
    correlations = seed_correlations(curves, baseline)
    table = gains_table(gains, [], cost=cost, floors=floors, correlations=correlations, curves=curves, sort=sort)
    print(f"\n{table}\nGains in {folder / 'gains.csv'} and gains.json, report in {page}", flush=True)


def _draw(
    folder: Path,
    gains: list[Gain],
    runs: list[Run],
    commands: str | None,
    curves: list[Curve],
    inputs: str | None,
    floors: dict[str, NoiseFloor],
) -> None:
    from algoprog.report.write import write_report  # here: drawing has much to import

    extra = [*screening_sections(read_decisions(folder), read_calls(folder)), _literature(gains)]
    write_report(folder, gains, runs, command=commands, extra=extra, curves=curves, inputs=inputs, floors=floors)


def _literature(gains: list[Gain], baseline: str = BASELINE) -> Section:
    """Published gains of the same changes, for the report."""
    from algoprog.literature.figure import literature_figure
    from algoprog.report.page.section import Section

    prose = (
        "Bars are published ranges, points what this sweep measured. Published values are of different kinds (training"
        " compute, time of a step, latency), models and data: `algoprog literature` gives source and caveat of each."
    )
    return Section("Literature and measurement", (prose,), figure=literature_figure(compare(gains, baseline=baseline)))
