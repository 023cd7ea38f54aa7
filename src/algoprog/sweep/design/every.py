"""Variants that follow from the options there are, so that no list of names can forget one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from algoprog.axes import AXES, DATA, SAME_FUNCTION
from algoprog.baseline import DEFAULT, baseline
from algoprog.sweep.design.variants import check
from algoprog.variant import options


@dataclass(frozen=True)
class Around:
    """What a design is read in: the configuration of its sweep, as far as variants follow from it."""

    options: Mapping[str, str]  # that every axis is configured with
    baseline: str = DEFAULT  # the file in conf/baseline/
    typed: frozenset[str] = frozenset()  # settings of the command line, those of the design among them


LeftOut = tuple[list[str], str]
"""Words of what is not trained, and the reason."""


def every_option(axes: Sequence[str] | None, around: Around) -> dict[str, list[str]]:
    """Every option of every axis but the configured one.

    An axis that is protocol unless a sweep varies it, such as the schedule, stays what it is where it is typed.

    Args:
        axes: those that are meant; None means all.
        around: what is configured.

    Raises:
        ValueError: there is no such axis, or it is compared in bits per byte alone.
    """
    for axis in axes or ():
        if axis not in AXES:
            check(axis, "")
        if axis in DATA:
            raise ValueError(f"design.axes names {axis}, and {_READ_OTHERWISE}")
    chosen = [axis for axis in AXES if _is_meant(axis, axes, around.typed)]
    return {axis: [name for name in options(axis) if name != around.options.get(axis)] for axis in chosen}


def not_every_option(around: Around) -> tuple[LeftOut, ...]:
    """The options that a sweep over all of them leaves out, and why."""
    found = {axis: [name for name in options(axis) if name != around.options.get(axis)] for axis in DATA}
    return tuple(([f"{axis}={','.join(names)}"], _READ_OTHERWISE) for axis, names in found.items())


def put_back(former: str, around: Around) -> dict[str, list[str]]:
    """The axes in which the baseline differs from a former one, each with the former option.

    Raises:
        ValueError: there is no such former baseline.
    """
    then = baseline(former)
    return {axis: [name] for axis, name in then.items() if name != around.options.get(axis, name)}


def same_function(parts: Mapping[str, Sequence[str]]) -> tuple[dict[str, Sequence[str]], tuple[LeftOut, ...]]:
    """The axes whose options may have a gain in FLOPs, and those that have none by construction."""
    out = {axis: names for axis, names in parts.items() if axis in SAME_FUNCTION}
    kept = {axis: names for axis, names in parts.items() if axis not in out}
    return kept, tuple(([f"{axis}={','.join(names)}"], _NO_GAIN) for axis, names in out.items())


def _is_meant(axis: str, axes: Sequence[str] | None, typed: Collection[str]) -> bool:
    if axes is not None:
        return axis in axes
    return axis not in DATA and (AXES[axis].always or axis not in typed)


_READ_OTHERWISE = (
    "what is read otherwise is compared in bits per byte of one text, in a sweep of its own: see docs/axes.md"
)
_NO_GAIN = (
    "it computes the same function, so it has no gain in FLOPs to be screened:"
    " name it in design.variants to carry it along"
)
