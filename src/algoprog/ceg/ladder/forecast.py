"""What a law says about one variant at a held-out model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from algoprog.ceg.curves import Array

Span = tuple[float | None, float | None]
"""Low and high end of an interval; None where it has none."""


@dataclass(frozen=True)
class Forecast:
    """Values and intervals; `log_gain` is inf or -inf where the law never reaches the loss.

    A `span` is a prediction interval: of what will be measured there, with the law's own misfit and the scatter of
    seeds. A `confidence` is an interval of the law's value there.
    """

    exponent: float
    exponent_span: Span
    loss: float
    loss_span: Span
    loss_confidence: Span
    log_gain: float
    log_gain_span: Span
    log_gain_confidence: Span
    flags: tuple[str, ...] = ()


def quantiles(values: Sequence[float] | Array, confidence: float) -> Span:
    """Central quantiles; None where there are no replicates or a tail of them is infinite."""
    tail = (1 - confidence) / 2
    if not len(values):
        return None, None
    low, high = np.quantile(np.array(values), [tail, 1 - tail], method="nearest")
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)
