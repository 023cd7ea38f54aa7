"""The `algoprog` command: everything beside training."""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.catalogue.command import add_options
from algoprog.ceg.cost import COSTS, beside
from algoprog.commands import Commands
from algoprog.runs.failure import unexpected
from algoprog.runs.mistake import FAULT, OF_THE_DISK, exit_code, sentence
from algoprog.runs.record import BASELINE
from algoprog.runs.secrets import guarded_terminal
from algoprog.sweep.finish.predict_command import add_predict
from algoprog.sweep.finish.report_command import add_report
from algoprog.sweep.finish.source_command import add_metric, add_sort, add_source, add_table, curves
from algoprog.sweep.finish.wandb_command import add_wandb
from algoprog.sweep.plan.command import add_plan
from algoprog.sweep.plan.power_command import add_power
from algoprog.sweep.watch.status_command import add_logs, add_status

if TYPE_CHECKING:
    from algoprog.ceg.curves import Curve
    from algoprog.ceg.gains import Gain

DEFAULT_ESTIMATORS = ("iso_loss", "paper")


class EstimatorsHelp(argparse.HelpFormatter):
    """Help that asks the estimators what they are, once somebody asks for it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.dest != "estimator":
            return action.help
        from algoprog.ceg.estimator.known import help_text

        return f"{help_text()}; {action.help}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit code is 0, or 2 after one sentence on what to change, 130 after Ctrl-C.

    It is 1 after one sentence where the disk is full, or where an exception that nobody expected was raised.
    """
    _speak_utf8()
    options = _parser().parse_args(arguments)
    with guarded_terminal():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(limits=1, user_api="blas"):  # matrices are tiny here: threads only wait for each other
            code = int(options.action(options))
        sys.stdout.flush()  # now, while a disk that is full can be told of
        return code
    except BrokenPipeError:  # whoever read our output has seen enough
        _silence()
        return 0
    except (OSError, ValueError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            _silence()
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print(f"error: {unexpected(error)}", file=sys.stderr)
        return FAULT


def _silence() -> None:
    """Let what is still to be written vanish: Python would try again as it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _speak_utf8() -> None:
    """Write UTF-8 whatever the locale: names come from files, which are UTF-8 as well."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="algoprog", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data(commands)
    _add_ceg(commands)
    _add_comparison(add_predict(commands))
    _add_literature(commands)
    add_options(commands)
    add_power(commands)
    add_plan(commands)
    add_status(commands)
    add_logs(commands)
    add_wandb(commands)
    add_report(commands)
    return parser


def _add_data(commands: Commands) -> None:
    data = commands.add_parser("data", help="prepare the tokens that training reads")
    steps = data.add_subparsers(required=True, metavar="STEP")
    prepare = steps.add_parser("prepare", help="tokenize a corpus once, for example: algoprog data prepare data=c4")
    prepare.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py: data=..., tokenizer=...")
    prepare.set_defaults(action=_prepare)


def _add_ceg(commands: Commands) -> None:
    ceg = commands.add_parser(
        "ceg",
        help="compute-equivalent gains of finished runs or of curves from elsewhere",
        formatter_class=EstimatorsHelp,
    )
    add_source(ceg, "a sweep's folder, a folder of records, or a CSV of curves")
    ceg.add_argument(
        "--estimator",
        action="append",
        metavar="NAME[:SETTING=VALUE,...]",
        help="may be repeated (default: iso_loss and paper)",
    )
    ceg.add_argument("--target", type=_target, default="final", help="final, min (of the baseline), or a loss")
    _add_comparison(ceg)
    ceg.add_argument(
        "--seed-sd",
        type=float,
        metavar="NATS",
        help="sd of a run's last loss over seeds, where it is known: it gives variants of one seed an interval",
    )
    ceg.add_argument("--format", choices=("table", "json", "csv"), default="table")
    add_sort(ceg)
    ceg.add_argument("--save-curves", type=Path, metavar="FILE", help="write the curves that were read as one CSV")
    ceg.add_argument(
        "--interactions", action="store_true", help="below the table: do the gains of joined changes multiply?"
    )
    ceg.set_defaults(action=_ceg)


def _add_literature(commands: Commands) -> None:
    literature = commands.add_parser("literature", help="published gains with their sources, beside measured ones")
    literature.add_argument("sweep", nargs="?", type=Path, help="folder or CSV whose gains are compared")
    literature.add_argument("--baseline", default=BASELINE, help="variant that the gains are measured against")
    add_table(literature)
    literature.add_argument("--format", choices=("table", "json", "csv"), default="table")
    literature.set_defaults(action=_literature)


def _add_comparison(command: argparse.ArgumentParser) -> None:
    """Options that every analysis shares."""
    command.add_argument("--cost", choices=tuple(COSTS), default="flops", help="cost axis (default: flops)")
    add_metric(command)
    command.add_argument("--baseline", default=BASELINE, help="variant that gains are measured against (default: none)")
    command.add_argument("--confidence", type=_confidence, default=0.9, help="of the intervals (default: 0.9)")


def _target(text: str) -> str | float:
    if text in ("final", "min"):
        return text
    try:
        loss = float(text)
    except ValueError:
        loss = 0.0
    if not 0 < loss < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be final, min or a loss above 0 such as 3.5")
    return loss


def _confidence(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} must lie between 0 and 1, for example 0.9")
    return value


def _ceg(options: argparse.Namespace) -> int:
    from algoprog.ceg.curves import common_costs
    from algoprog.ceg.estimator.known import estimator_of
    from algoprog.ceg.gains import compute_gains
    from algoprog.ceg.metric import METRICS, curves_in
    from algoprog.ceg.tables.save import curves_csv
    from algoprog.ceg.write import gains_csv, gains_json
    from algoprog.runs.store import write_atomic

    if options.interactions and options.format != "table":
        raise ValueError("--interactions is a table: leave --format out")
    asked = [estimator_of(text) for text in options.estimator or DEFAULT_ESTIMATORS]
    options.estimator = tuple({estimator.label: estimator for estimator in asked}.values())
    runs = curves(options)
    if options.save_curves is not None:
        write_atomic(options.save_curves, curves_csv(runs))
    runs = curves_in(runs, METRICS[options.metric])
    other = beside(options.cost)  # the table's second cost axis
    known = options.format == "table" and other in common_costs(runs)
    gains = compute_gains(
        runs,
        estimators=options.estimator,
        costs=(options.cost, other) if known else (options.cost,),
        baseline=options.baseline,
        target=options.target,
        confidence=options.confidence,
        seed_sd=options.seed_sd,
    )
    if options.format == "table":
        text = _gains_table(gains, runs, options) + (_interactions(runs, options) if options.interactions else "")
    else:
        text = gains_json(gains) if options.format == "json" else gains_csv(gains)
    print(text, end="")
    return 0


def _gains_table(gains: Sequence[Gain], runs: Sequence[Curve], options: argparse.Namespace) -> str:
    """The table of the two default estimators, or any others side by side."""
    from algoprog.ceg.metric import METRICS, runs_in
    from algoprog.ceg.noise_floor import noise_floors
    from algoprog.ceg.seeds.correlation import seed_correlations
    from algoprog.report.tables.estimators import estimators_table
    from algoprog.report.tables.table import gains_table
    from algoprog.runs.views import compared_runs

    if {estimator.label for estimator in options.estimator} == set(DEFAULT_ESTIMATORS):
        floors = noise_floors(runs, cost=options.cost, baseline=options.baseline, target=options.target)
        read = [run for source in options.source if source.is_dir() for run in compared_runs(source)]
        records = runs_in(read, METRICS[options.metric])
        shown = {
            "sort": options.sort,
            "cost": options.cost,
            "confidence": options.confidence,
            "floors": floors,
            "curves": runs,
        }
        return gains_table(gains, records, correlations=seed_correlations(runs, options.baseline), **shown)
    if options.sort:
        raise ValueError("--sort orders the table of the default estimators: leave --estimator or --sort out")
    return estimators_table(gains, cost=options.cost, confidence=options.confidence)


def _interactions(runs: Sequence[Curve], options: argparse.Namespace) -> str:
    """Shapley shares and the product of single gains over the joint gain, as a second table."""
    from algoprog.ceg.interactions import interactions
    from algoprog.report.tables.interaction import interactions_table

    found = interactions(
        runs,
        cost=options.cost,
        baseline=options.baseline,
        target=options.target,
        confidence=options.confidence,
        estimator=options.estimator[0],
    )
    return "\n" + interactions_table(found, confidence=options.confidence)


def _literature(options: argparse.Namespace) -> int:
    from algoprog.literature.command import run

    rename, constant = dict(options.rename), options.schedule == "constant"
    print(run(options.sweep, options.format, baseline=options.baseline, rename=rename, constant=constant), end="")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from algoprog import build
    from algoprog.compose import compose

    store = build.tokens(build.resolve(compose(options.overrides)))
    print(
        f"{store.info.name} with {store.info.tokenizer}: {store.info.train_tokens:,} training and"
        f" {store.info.val_tokens:,} validation tokens in {store.folder}"
    )
    return 0
