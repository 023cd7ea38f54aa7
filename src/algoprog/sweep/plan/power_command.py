"""`algoprog power`: what so many seeds resolve."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from algoprog.ceg.cost import COSTS
from algoprog.commands import Commands
from algoprog.runs.record import BASELINE, GAINS_JSON

if TYPE_CHECKING:
    from algoprog.ceg.gain import Gain
    from algoprog.ceg.seeds.power import Spread

DEFAULT_SEEDS = 3


def add_power(commands: Commands) -> None:
    """Register the command."""
    power = commands.add_parser(
        "power", help="the smallest gain that so many seeds resolve, and the seeds a gain needs"
    )
    power.add_argument("source", nargs="?", type=Path, help="a finished sweep or a CSV of curves, whose seeds tell")
    power.add_argument("--sd", type=float, metavar="NATS", help="instead: sd of a run's last loss over seeds")
    power.add_argument(
        "--slope",
        type=float,
        metavar="NATS",
        help="with --sd: nats that the loss falls by for each e-fold of cost at a run's end (default: 0.13)",
    )
    power.add_argument("--seeds", type=int, default=DEFAULT_SEEDS, help=f"a variant (default: {DEFAULT_SEEDS})")
    power.add_argument("--gain", type=float, help="the gain whose seeds are asked for, such as 1.1")
    power.add_argument("--cost", choices=tuple(COSTS), default="flops", help="cost axis (default: flops)")
    power.add_argument("--baseline", default=BASELINE, help="variant that gains are measured against (default: none)")
    power.set_defaults(action=_power)


def _power(options: argparse.Namespace) -> int:
    from algoprog.ceg.seeds.power import SLOPE, Spread, sentence

    if (options.source is None) == (options.sd is None):
        raise ValueError("power needs a finished sweep or --sd NATS, one of the two")
    if options.seeds < 1:
        raise ValueError(f"--seeds is {options.seeds}: give at least 1")
    if options.sd is not None:
        slope = SLOPE if options.slope is None else options.slope
        print(sentence(Spread.stated(options.sd, slope), options.seeds, options.gain))
        return 0
    if options.slope is not None:
        raise ValueError("--slope goes with --sd: the seeds of a sweep tell it themselves")
    for model, spread in _measured(options).items():
        print(f"{model}: {sentence(spread, options.seeds, options.gain)} {_origin(spread)}")
    return 0


def _measured(options: argparse.Namespace) -> dict[str, Spread]:
    """The spread of every model of the source.

    Raises:
        ValueError: no variant has two seeds in common with the baseline.
    """
    from algoprog.ceg.gains import compute_gains
    from algoprog.ceg.metric import curves_in, metric_for
    from algoprog.ceg.seeds.power import spreads
    from algoprog.ceg.tables.sources import read_source

    curves = read_source(options.source)
    curves = curves_in(curves, metric_for(curves))
    found = spreads(compute_gains(curves, estimators=("iso_loss",), costs=(options.cost,), baseline=options.baseline))
    if not found:
        raise ValueError(f"{options.source} has no variant of two seeds in common with the baseline: give --sd NATS")
    return found


def _origin(spread: Spread) -> str:
    return f"(Seed by seed ln CEG has an sd of {spread.log_sd:.3f}, of {spread.degrees:g} degrees of freedom.)"


def power_line(records: Path, models: Sequence[str], seeds: int) -> str | None:
    """One line on what a planned sweep resolves, by the newest finished sweep of one of its models; None without."""
    from algoprog.ceg.seeds.power import sentence, spreads

    files = sorted(records.glob(f"*/*/{GAINS_JSON}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        found = spreads(_gains(file))
        if model := next((name for name in models if name in found), None):
            return f"Power, by the seeds of {file.parent}: at {model} {sentence(found[model], seeds)}"
    return None


def _gains(file: Path) -> list[Gain]:
    """The default estimator's gains in FLOPs of a finished sweep; none where the file is of another program."""
    import json

    from algoprog.ceg.gain import Gain

    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        rows = [row for row in rows if (row["estimator"], row["cost"]) == ("iso_loss", "flops")]
        return [Gain(**{**row, "flags": tuple(row["flags"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
