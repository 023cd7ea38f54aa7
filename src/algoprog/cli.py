"""The `algoprog` command: everything beside training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit code is 0, or 2 after one sentence on what to change."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.action(options))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="algoprog", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser("data", help="prepare the tokens that training reads")
    steps = data.add_subparsers(required=True, metavar="STEP")
    prepare = steps.add_parser("prepare", help="tokenize a corpus once, for example: algoprog data prepare data=c4")
    prepare.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py: data=..., tokenizer=...")
    prepare.set_defaults(action=_prepare)
    report = commands.add_parser("report", help="compute the gains of a finished sweep again and redraw its report")
    report.add_argument("sweep", type=Path, help="folder of the sweep, for example multirun/2026-01-31/12-00-00")
    report.set_defaults(action=_report)
    return parser


def _prepare(options: argparse.Namespace) -> int:
    from algoprog import build
    from algoprog.compose import compose

    store = build.tokens(build.resolve(compose(options.overrides)))
    print(
        f"{store.info.name} with {store.info.tokenizer}: {store.info.train_tokens:,} training and"
        f" {store.info.val_tokens:,} validation tokens in {store.folder}"
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    from algoprog.sweep.analysis import analyse

    analyse(options.sweep)
    return 0
