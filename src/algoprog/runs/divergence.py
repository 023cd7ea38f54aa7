"""When a loss counts as exploded, without a NaN: one rule for training and for curves from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

ABOVE_FIRST = 1.5
"""A validation loss above this multiple of the first one ends a run."""

GIVEN_BACK = 0.5
"""A run that ends with more than this share of what it had learned given back has exploded."""

LEAST_RISE = 1.0
"""Nats that it gave back at least: overfitting rises too, but rarely by so much, and noise never does."""


RISE_NATS = 0.02
"""A final loss this far above the lowest counts as rising, where no error is known for it."""


def lost(loss: float, first: float) -> bool:
    """Whether there is nothing to go on for: the loss is no number, or far above the first one, both in nats."""
    return not loss <= ABOVE_FIRST * first


def exploded(losses: Sequence[float]) -> bool:
    """Whether a run ended without what it had learned: its last loss is lost, or far back up from its lowest.

    Args:
        losses: validation losses in nats per token, in the order of training, the first as early as there is one.
    """
    if not losses:
        return False
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite or lost(losses[-1], finite[0]):
        return True
    rise = losses[-1] - min(finite)
    return rise >= LEAST_RISE and rise > GIVEN_BACK * (finite[0] - min(finite))
