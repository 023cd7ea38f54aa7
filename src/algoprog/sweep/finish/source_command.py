"""Where the commands that read curves have them from: paths, W&B, or both."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algoprog.ceg.curves import Curve


def add_source(command: argparse.ArgumentParser, text: str) -> None:
    """Where a reader's curves come from: paths, W&B, or both."""
    command.add_argument("source", nargs="*", type=Path, help=text)
    command.add_argument("--wandb", metavar="ENTITY/PROJECT[/GROUP]", help="read finished runs from W&B")
    add_table(command)
    add_prices(command)


def add_table(command: argparse.ArgumentParser) -> None:
    """How curves from elsewhere are to be read."""
    command.add_argument(
        "--rename",
        action="append",
        default=[],
        type=_rename,
        metavar="YOURS=OURS",
        help="our name for a column of your table, for example loss=val_loss; may be repeated",
    )
    command.add_argument(
        "--schedule",
        choices=("constant",),
        help="what held where a source does not tell its learning rate: it was constant, so every evaluation is an end"
        " of its budget (default: only a run's last 5 %% is)",
    )


def add_metric(command: argparse.ArgumentParser, default: str | None = "nats") -> None:
    """What losses are compared in."""
    own = default or "bits_per_byte where a sweep compares tokenizers or data, else nats"
    command.add_argument(
        "--metric",
        choices=("nats", "bits_per_byte"),
        default=default,
        help=f"loss that is compared, nats per token or bits per byte, which tokenizers share (default: {own})",
    )


def add_sort(command: argparse.ArgumentParser) -> None:
    """The order of the rows of a table of gains."""
    command.add_argument(
        "--sort",
        choices=("name", "gain", "loss", "axis"),
        help="rows by name, the largest gain first, the lowest loss first, or axis by axis (default: name, of more than"
        " 12 variants gain)",
    )


def add_prices(command: argparse.ArgumentParser) -> None:
    """What an hour of the devices costs."""
    command.add_argument(
        "--prices",
        type=Path,
        metavar="FILE",
        help="for --cost dollars: a CSV with the columns device, dollars_per_hour and date",
    )


def curves(options: argparse.Namespace) -> list[Curve]:
    """The curves of everything that was named.

    Raises:
        ValueError: nothing was named, or a source cannot be read.
    """
    from algoprog.ceg.cost.prices import read_prices
    from algoprog.ceg.curves import curves_from_runs, priced
    from algoprog.ceg.pairs.ends import all_ends
    from algoprog.ceg.tables.sources import read_sources

    if not options.source and not options.wandb:
        raise ValueError("name a sweep's folder, a folder of records or a CSV of curves, or --wandb ENTITY/PROJECT")
    found = read_sources(options.source, dict(options.rename))
    if options.wandb:
        from algoprog.tracking.readback import read

        found += curves_from_runs(read(options.wandb))
    _refuse_lost(found, options.baseline)
    found = priced(found, read_prices(options.prices)) if options.prices else found
    return all_ends(found) if options.schedule == "constant" else found


def _refuse_lost(found: Sequence[Curve], baseline: str) -> None:
    """Refuse tables whose baseline is NaN throughout; a sweep that lost its baseline is shown as it is."""
    from algoprog.ceg.tables.sources import lost

    base = [curve for curve in found if curve.variant == baseline]
    if all(Path(curve.source).is_file() for curve in base) and lost(base):
        raise ValueError(
            f"{base[0].source} has no finite loss for the baseline {baseline!r}: export it again or choose --baseline"
        )


def _rename(text: str) -> tuple[str, str]:
    from algoprog.ceg.tables.columns import NAMES

    theirs, separator, ours = text.rpartition("=")
    if not separator or not theirs or ours not in NAMES:
        raise argparse.ArgumentTypeError(f"{text} must be YOURS=OURS, where OURS is one of {', '.join(NAMES)}")
    return theirs, ours
