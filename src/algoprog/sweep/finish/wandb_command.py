"""The commands that talk to W&B: `wandb-sync`, `wandb-dashboard`, and `--wandb` of the readers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from algoprog.ceg.curves import Curve

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_wandb(commands: Commands) -> None:
    """Register the commands."""
    sync = commands.add_parser("wandb-sync", help="send finished runs to W&B; rows that are there are not sent again")
    sync.add_argument("folder", type=Path, help="a run's or a sweep's folder")
    sync.set_defaults(action=_sync)
    dashboard = commands.add_parser("wandb-dashboard", help="create the W&B workspace of a project")
    dashboard.add_argument("project", metavar="ENTITY/PROJECT")
    dashboard.set_defaults(action=_dashboard)


def add_source(command: argparse.ArgumentParser, text: str) -> None:
    """Where a reader's curves come from: paths, W&B, or both."""
    command.add_argument("source", nargs="*", type=Path, help=text)
    command.add_argument("--wandb", metavar="ENTITY/PROJECT[/GROUP]", help="read finished runs from W&B")
    command.add_argument(
        "--schedule",
        choices=("constant",),
        help="what held where a source does not tell its learning rate: it was constant, so every evaluation is an end"
        " of its budget (default: only a run's last 5 %% is)",
    )


def curves(options: argparse.Namespace) -> list[Curve]:
    """The curves of everything that was named.

    Raises:
        ValueError: nothing was named, or a source cannot be read.
    """
    from algoprog.ceg.curves import curves_from_runs
    from algoprog.ceg.ends import all_ends
    from algoprog.ceg.sources import read_sources

    if not options.source and not options.wandb:
        raise ValueError("name a sweep's folder, a folder of records or a CSV of curves, or --wandb ENTITY/PROJECT")
    found = read_sources(options.source)
    if options.wandb:
        from algoprog.tracking.readback import read

        found += curves_from_runs(read(options.wandb))
    return all_ends(found) if options.schedule == "constant" else found


def _sync(options: argparse.Namespace) -> int:
    from algoprog.sweep.finish.wandb_sync import sync

    print(f"{sync(options.folder)} runs of {options.folder} are on W&B")
    return 0


def _dashboard(options: argparse.Namespace) -> int:
    from algoprog.tracking.dashboard import create

    print(f"workspace {create(options.project)}")
    return 0
