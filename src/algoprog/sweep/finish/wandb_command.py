"""The commands that talk to W&B: `wandb-sync` and `wandb-dashboard`."""

from __future__ import annotations

import argparse
from pathlib import Path

from algoprog.commands import Commands


def add_wandb(commands: Commands) -> None:
    """Register the commands."""
    sync = commands.add_parser("wandb-sync", help="send finished runs to W&B; rows that are there are not sent again")
    sync.add_argument("folder", type=Path, help="a run's or a sweep's folder")
    sync.set_defaults(action=_sync)
    dashboard = commands.add_parser("wandb-dashboard", help="create the W&B workspace of a project")
    dashboard.add_argument("project", metavar="ENTITY/PROJECT")
    dashboard.set_defaults(action=_dashboard)


def _sync(options: argparse.Namespace) -> int:
    from algoprog.sweep.finish.wandb_sync import sync

    print(f"{sync(options.folder)} runs of {options.folder} are on W&B")
    return 0


def _dashboard(options: argparse.Namespace) -> int:
    from algoprog.tracking.dashboard import create

    print(f"workspace {create(options.project)}")
    return 0
