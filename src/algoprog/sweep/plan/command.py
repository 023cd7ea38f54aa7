"""`algoprog plan`: what a sweep would do, before it does."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

from algoprog.commands import Commands


def add_plan(commands: Commands) -> None:
    """Register the command."""
    plan = commands.add_parser("plan", help="what `train.py -m` would do with the same words: runs, cost, refusals")
    plan.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py -m; nothing is trained")
    plan.add_argument("-m", "--multirun", nargs="*", metavar="KEY=VALUE", default=[], help="may stand here too")
    plan.add_argument("--format", choices=("table", "json"), default="table")
    plan.add_argument(
        "--records",
        type=Path,
        default=Path("multirun"),
        help="folder with finished runs, whose speed tells the expected time (default: multirun)",
    )
    plan.set_defaults(action=_plan)


def _plan(options: argparse.Namespace) -> int:
    """Print the plan; the exit code is 2 where the sweep would train nothing because it refuses."""
    from algoprog.sweep.plan.announce import tell_unread
    from algoprog.sweep.plan.power_command import power_line
    from algoprog.sweep.plan.preview import preview
    from algoprog.sweep.plan.table import plan_table

    words = [*options.overrides, *options.multirun]
    found = preview(words, options.records)
    tell_unread(words)
    text = json.dumps(found.as_json(), indent=2) + "\n" if options.format == "json" else plan_table(found)
    print(text, end="")
    models, seeds = list(dict.fromkeys(run.model for run in found.runs)), len({run.seed for run in found.runs})
    if options.format == "table" and found.goes and (line := power_line(options.records, models, seeds)):
        print(textwrap.fill(line, 80))
    return 0 if found.goes else 2
