"""Pairs of options that mean nothing: a hidden A/A arm, or an axis that the model has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from algoprog.baseline import baseline_of, has, meaningless, option, reference_part
from algoprog.runs.record import BASELINE

PLACEMENTS = ("pre", "post", "sandwich")
"""Blocks that differ in nothing but where their norms stand."""


def refuse(config: Mapping[str, Any]) -> None:
    """Refuse a configuration whose name would promise a change that it does not make.

    Raises:
        ValueError: it has such a pair of options, which are named.
    """
    for axis, (outer, why) in meaningless(config).items():
        if axis in config and (change := _change(config, axis)):
            raise ValueError(f"{change} means nothing under {outer}={option(config[outer])}, {why}: leave it out")
    _check_placement(config)


def _change(config: Mapping[str, Any], axis: str) -> str:
    """What was chosen of an axis other than the baseline has: its option, or else a knob; empty if nothing."""
    part, base = config[axis], reference_part(config, axis)
    if option(part) != option(base):
        return f"{axis}={option(part)}"
    return next((f"{axis}.{knob}={value}" for knob, value in part.items() if base.get(knob) != value), "")


def _check_placement(config: Mapping[str, Any]) -> None:
    """A norm that is none can be placed anywhere without a difference."""
    if "block" not in config or not has(config, "block") or option(config["norm"]) != BASELINE:
        return
    block, usual = option(config["block"]), baseline_of(config)["block"]
    if block in PLACEMENTS and block != usual:
        raise ValueError(
            f"block={block} with norm=none is the same function as block={usual}, for there is no norm to place: choose"
            " norm=ln or another norm, or leave the block out"
        )
