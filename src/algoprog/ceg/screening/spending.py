"""How the error of a screen is spent over its looks, so that all of them together err no more often than was said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist


def pocock(error: float, share: float) -> float:
    """Error spent once this share of the seeds is in: about half of it at the first of few looks.

    Source: Lan and DeMets 1983, their alpha_2, which gives bounds like Pocock's (1977).
    """
    return error * math.log(1 + (math.e - 1) * share)


def obrien_fleming(error: float, share: float) -> float:
    """Error spent once this share of the seeds is in: hardly any at first.

    Source: Lan and DeMets 1983, their alpha_1, which gives bounds like O'Brien and Fleming's (1979).
    """
    normal = NormalDist()
    return 2 - 2 * normal.cdf(normal.inv_cdf(1 - error / 2) / math.sqrt(share))


FUNCTIONS: Mapping[str, Callable[[float, float], float]] = {"pocock": pocock, "obrien_fleming": obrien_fleming}


def levels(looks: Sequence[int], error: float, spending: str) -> tuple[float, ...]:
    """The one-sided p-value at which each look drops a variant: what is spent at it.

    They add up to the error, which bounds it whatever the looks have in common. Lan and DeMets' levels are up to twice
    as large at the later looks, by the correlation of normal means; means over Student's errors of few degrees of
    freedom correlate less, and one variant at its gate was dropped in 11.5 % of sweeps by levels for 10 %.

    Args:
        looks: seeds at each look, rising; the last one has the whole error to spend.
        error: of all looks together.
        spending: name of the spending function.
    """
    spent = [FUNCTIONS[spending](error, seeds / looks[-1]) for seeds in looks]
    return tuple(now - before for before, now in zip([0.0, *spent], spent, strict=False))
