"""The command `report`: the page of a sweep, or of curves from elsewhere."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from algoprog.ceg.cost import COSTS
from algoprog.commands import Commands
from algoprog.runs.record import BASELINE
from algoprog.sweep.finish.source_command import add_metric, add_prices, add_sort, add_table, curves


def add_report(commands: Commands) -> None:
    """Register the command."""
    report = commands.add_parser(
        "report", help="compute the gains of a finished sweep, or of a table of curves, and draw their report"
    )
    report.add_argument(
        "source", type=Path, help="folder of a sweep, for example multirun/2026-01-31/12-00-00, or a CSV of curves"
    )
    report.add_argument("--wandb", action="store_true", help="log the summary run of the sweep to W&B again")
    ours = report.add_argument_group("curves from elsewhere")
    ours.add_argument("--cost", choices=tuple(COSTS), help="cost axis (default: the first that all curves have)")
    ours.add_argument("--baseline", help=f"variant that gains are measured against (default: {BASELINE})")
    ours.add_argument("--out", type=Path, help="folder of the report (default: beside the table, named after it)")
    add_metric(report, default=None)
    add_sort(report)
    add_table(report)
    add_prices(report)
    report.set_defaults(action=_report)


def _report(options: argparse.Namespace) -> int:
    from algoprog.runs.store import find_runs
    from algoprog.sweep.finish.analysis import analyse

    path: Path = options.source
    if path.is_file() or (path.is_dir() and next(find_runs(path), None) is None and any(path.iterdir())):
        return _report_curves(options)
    if options.cost or options.baseline or options.out or options.rename or options.schedule or options.prices:
        raise ValueError(
            f"{path} is a sweep, which knows its settings: leave out all options but --wandb, --metric, --sort"
        )
    analyse(path, wandb=options.wandb or None, redraw=True, metric=options.metric, sort=options.sort)
    return 0


def _report_curves(options: argparse.Namespace) -> int:
    from algoprog.ceg.curves import common_costs
    from algoprog.ceg.metric import METRICS, NATS, curves_in
    from algoprog.sweep.finish.analysis import analyse_curves

    if options.wandb:
        raise ValueError(f"{options.source} is no sweep, which alone has a summary run on W&B: leave --wandb out")
    path: Path = options.source
    options.source, options.baseline = [path], options.baseline or BASELINE
    metric = METRICS[options.metric or NATS.name]
    found = curves_in(curves(options), metric)
    cost = options.cost or next(iter(common_costs(found)), next(iter(COSTS)))
    folder = options.out or path.parent / f"{path.stem if path.is_file() else path.resolve().name}-report"
    words = [f"--rename={theirs}={ours}" for theirs, ours in options.rename]
    words += [f"--schedule={options.schedule}"] if options.schedule else []
    words += [f"--prices={options.prices}"] if options.prices else []
    words += [f"--metric={metric.name}"] if metric is not NATS else []
    command = shlex.join(["algoprog", "report", str(path), f"--cost={cost}", f"--baseline={options.baseline}", *words])
    analyse_curves(found, folder, baseline=options.baseline, cost=cost, command=command, sort=options.sort)
    return 0
