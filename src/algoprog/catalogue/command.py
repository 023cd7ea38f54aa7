"""`algoprog options`: what there is to choose from."""

from __future__ import annotations

import argparse

from algoprog.commands import Commands


def add_options(commands: Commands) -> None:
    """Register the command."""
    listed = commands.add_parser("options", help="the options of an axis: paper, costs, published gains")
    listed.add_argument("axis", nargs="?", help="such as attention or optim (default: the names of all)")
    listed.add_argument("--model", default="compact", help="of conf/model/, whose costs are shown (default: compact)")
    listed.set_defaults(action=_options)


def _options(options: argparse.Namespace) -> int:
    from algoprog.catalogue.options import catalogue
    from algoprog.catalogue.table import axis_table, every_axis

    found = catalogue(options.axis)
    print(every_axis(found) if options.axis is None else axis_table(found, options.model), end="")
    return 0
