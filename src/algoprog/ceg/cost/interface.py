"""What a cost axis says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:  # numpy takes a while, and `--help` needs the words alone
    import numpy as np
    from numpy.typing import NDArray

    from algoprog.ceg.cost.prices import Prices

    Columns: TypeAlias = Mapping[str, NDArray[np.float64]]


class Hardware(NamedTuple):
    """What a run was trained on; a name is empty and a number None where the source does not tell."""

    device: str = ""
    n_devices: int | None = None


@dataclass(frozen=True)
class Cost:
    """One axis of what training costs, cumulative along a run.

    Args:
        rank: place among the axes; the first one that all curves have is the default of a report.
        name: on the command line, in tables and in gains.json.
        title: in figures, headings and sentences.
        symbol: a letter or two, where a column of the terminal's table has no room for the name.
        column: of curve.csv and of tables of curves.
        aliases: what others call that column, the likeliest first.
        metric: the type under which the literature lists gains on this axis.
        measured: whether a clock takes it, so that it differs between machines, and between runs of one function.
        counts_tokens: whether it counts tokens, or batches of them, which arms of different tokenizers cannot share.
        derive: the axis from others, from what trained the run and from prices; None where these do not tell. Axes
            without it are recorded.
        remedy: what to do where it cannot be derived.
    """

    rank: int
    name: str
    title: str
    symbol: str
    column: str
    aliases: tuple[str, ...]
    metric: str
    measured: bool
    counts_tokens: bool = False
    derive: Callable[[Columns, Hardware, Prices | None], NDArray[np.float64] | None] | None = None
    remedy: str = ""
