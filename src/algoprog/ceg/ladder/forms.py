"""The forms that a gain may take along a ladder, with what is believed of each before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from algoprog.ceg.curves import Array

LEVEL_SD = 2.0
"""Of ln CEG at the smallest model: as good as free."""

Term = Callable[[Array], Array]


@dataclass(frozen=True)
class Form:
    """ln CEG = level + a sum of terms in decades of compute above the smallest model, each with a normal factor."""

    name: str
    odds: float
    terms: tuple[Term, ...] = ()
    sds: tuple[float, ...] = ()

    def covariance(self, decades: Array) -> Array:
        """Of ln CEG between places."""
        found = np.full((len(decades), len(decades)), LEVEL_SD**2)
        for term, sd in zip(self.terms, self.sds, strict=True):
            values = term(decades)
            found = found + sd**2 * np.multiply.outer(values, values)
        return found


def _line(decades: Array) -> Array:
    return decades


def _bend(top: float, decades: Array) -> Array:
    """A parabola that rises as one decade does at first, and turns at a place in decades."""
    return decades - decades**2 / (2 * top)


def _approach(rate: float, decades: Array) -> Array:
    return np.asarray(1 - np.exp(-rate * decades))


CONSTANT, DRIFTING, SATURATING, TURNING = "constant", "drifting", "saturating", "turning"
RATES = (0.4, 0.7, 1.1, 1.6, 2.3, 3.2)
"""Of saturation, a decade: half of what is to come is reached after 0.2 to 1.7 decades."""

TOPS = (0.5, 1.0)
"""Decades after which a gain turns where no straight line is added, which moves the turn anywhere."""

FORMS = (
    Form(CONSTANT, 0.3),
    *(Form(DRIFTING, 0.1, (_line,), (sd,)) for sd in (0.08, 0.25)),
    *(Form(SATURATING, 0.26 / len(RATES), (partial(_approach, rate),), (0.3,)) for rate in RATES),
    *(Form(TURNING, 0.24 / len(TOPS), (_line, partial(_bend, top)), (0.1, 0.2)) for top in TOPS),
)
"""Factors are in ln CEG: most gains move by less than a quarter in a decade of compute."""

WALKS = ((0.0, 0.6), (0.02, 0.2), (0.05, 0.15), (0.1, 0.05))
"""Sd of ln CEG a decade that no form follows, as a random walk, and the odds of each."""


def walk(decades: Array) -> Array:
    """Covariance of a random walk of unit variance a decade."""
    return np.asarray(np.minimum.outer(decades, decades))
